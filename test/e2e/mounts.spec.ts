import { beforeAll, describe, expect, it } from '@jest/globals';
import { digestOf, refusal, RegistryClient } from '../support/registry-client.js';
import { freshName } from '../support/fresh-name.js';
import { type RunningBerth, sharedBerth } from '../support/running-berth.js';
import { blobFiles, uploadFiles } from '../support/stored-files.js';

describe('mounts', () => {
  let berth: RunningBerth;
  let client: RegistryClient;
  let source: string;
  const LAYER = 'a layer to mount';
  const digest = digestOf(LAYER);

  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
    source = freshName('source');
    await client.pushBlob(source, LAYER);
  });

  const mount = (target: string, query: Record<string, string> | [string, string][]) =>
    client.fetch(`/v2/${target}/blobs/uploads/?${new URLSearchParams(query).toString()}`, { method: 'POST' });

  /** An impossible mount starts an ordinary session: the client pushes the bytes instead. */
  async function expectSession(target: string, response: Response): Promise<void> {
    expect(response.status).toBe(202);
    const location = response.headers.get('location') ?? '';
    expect(location).toContain(`/v2/${target}/blobs/uploads/`);
    expect(response.headers.get('range')).toBe('0-0');
    expect((await client.commit(location, digestOf(target), target)).status).toBe(201);
  }

  it('3. a blob of another repository is mounted: 201 with a Location that serves it', async () => {
    const target = freshName('target');
    const response = await mount(target, { mount: digest, from: source });
    expect(response.status).toBe(201);
    expect(response.headers.get('location')).toBe(`/v2/${target}/blobs/${digest}`);
    expect(response.headers.get('docker-content-digest')).toBe(digest);
    expect(String(await client.blob(target, digest))).toBe(LAYER);
  });

  it('3. a mount copies no bytes', async () => {
    const [files, uploads] = [await blobFiles(berth), await uploadFiles(berth)];
    await mount(freshName('target'), { mount: digest, from: source });
    expect(await blobFiles(berth)).toEqual(files);
    expect(await uploadFiles(berth)).toEqual(uploads);
  });

  it('3. into the repository that has it, or a second time', async () => {
    const target = freshName('target');
    expect((await mount(source, { mount: digest, from: source })).status).toBe(201);
    expect((await mount(target, { mount: digest, from: source })).status).toBe(201);
    expect((await mount(target, { mount: digest, from: source })).status).toBe(201);
  });

  it('3. by the sha512 of the blob', async () => {
    const target = freshName('target');
    const sha512 = await client.pushBlob(source, 'pushed as sha512', 'sha512');
    const response = await mount(target, { mount: sha512, from: source });
    expect([response.status, response.headers.get('docker-content-digest')]).toEqual([201, sha512]);
    expect(String(await client.blob(target, sha512))).toBe('pushed as sha512');
  });

  it('3. an unknown blob starts a session', async () => {
    const target = freshName('target');
    await expectSession(target, await mount(target, { mount: digestOf('never pushed'), from: source }));
  });

  it.each(['unknown', 'No Name', '../etc', ''])('3. the source "%s" starts a session', async (from) => {
    const target = freshName('target');
    await expectSession(target, await mount(target, { mount: digest, from }));
    expect((await client.fetch(`/v2/${target}/blobs/${digest}`)).status).toBe(404);
  });

  it('3. a source without the blob starts a session, though another repository has it', async () => {
    const [other, target] = [freshName('other'), freshName('target')];
    await client.pushBlob(other, 'something else');
    await expectSession(target, await mount(target, { mount: digest, from: other }));
    expect(await refusal(await client.fetch(`/v2/${target}/blobs/${digest}`))).toBe('404 BLOB_UNKNOWN');
  });

  it('3. without a source: 201 if the blob is in any repository, else a session', async () => {
    const target = freshName('target');
    expect((await mount(target, { mount: digest })).status).toBe(201);
    expect(String(await client.blob(target, digest))).toBe(LAYER);
    await expectSession(target, await mount(target, { mount: digestOf('in none') }));
  });

  it('3. a blob that was deleted from its last repository is in none', async () => {
    const [only, target] = [freshName('only'), freshName('target')];
    const gone = await client.pushBlob(only, 'soon gone');
    await client.fetch(`/v2/${only}/blobs/${gone}`, { method: 'DELETE' });
    await expectSession(target, await mount(target, { mount: gone, from: only }));
    await expectSession(target, await mount(target, { mount: gone }));
  });

  it('3. a mounted blob outlives its source', async () => {
    const [first, second] = [freshName('first'), freshName('second')];
    const blob = await client.pushBlob(first, 'in two repositories');
    await mount(second, { mount: blob, from: first });
    await client.fetch(`/v2/${first}/blobs/${blob}`, { method: 'DELETE' });
    expect(String(await client.blob(second, blob))).toBe('in two repositories');
    expect(await refusal(await client.fetch(`/v2/${first}/blobs/${blob}`))).toBe('404 BLOB_UNKNOWN');
  });

  it.each(['sha256:short', 'md5:d41d8cd98f00b204e9800998ecf8427e', ''])(
    '3. the malformed digest "%s" starts a session',
    async (malformed) => {
      const target = freshName('target');
      await expectSession(target, await mount(target, { mount: malformed, from: source }));
      await expectSession(target, await mount(target, { mount: malformed }));
    },
  );

  it.each(['mount', 'from'])('3. a repeated parameter (%s) starts a session', async (repeated) => {
    const target = freshName('target');
    const query: [string, string][] = [
      ['mount', digest],
      ['from', source],
    ];
    const twice = query.filter(([name]) => name === repeated);
    await expectSession(target, await mount(target, [...query, ...twice]));
  });
});

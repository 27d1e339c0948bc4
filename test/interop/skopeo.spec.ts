import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { InteropBench } from '../support/interop-bench.js';
import { OCI_INDEX, OCI_MANIFEST } from '../support/registry-client.js';
import { describeWithClients } from '../support/registry-tool.js';

describeWithClients('skopeo', ['skopeo', 'busybox'], () => {
  let bench: InteropBench;
  beforeAll(async () => void (bench = await InteropBench.open()));
  afterAll(() => bench.dispose());

  const remote = (reference: string) => `docker://${bench.registry}/${reference}`;
  const local = (name: string) => `oci:${bench.layout.directory}:${name}`;
  const copy = (...args: string[]) =>
    bench.run('skopeo', 'copy', '--src-tls-verify=false', '--dest-tls-verify=false', ...args);
  const ask = async (command: string, ...args: string[]) =>
    (await bench.run('skopeo', command, '--tls-verify=false', ...args)).stdout;

  /** The only manifest of a layout that was pulled. */
  async function pulledDigest(directory: string): Promise<string | undefined> {
    const index = await readFile(bench.home.file(`${directory}/index.json`), 'utf8');
    return (JSON.parse(index) as { manifests: { digest: string }[] }).manifests[0]?.digest;
  }

  it('pushes an image of several layers and pulls it with the same digest', async () => {
    await copy(local('image'), remote('skopeo/image:v1'));
    const { digest, mediaType, manifest } = await bench.served('skopeo/image:v1');
    expect({ digest, mediaType }).toEqual({ digest: bench.layout.image.digest, mediaType: OCI_MANIFEST });
    expect(manifest.layers).toHaveLength(3);
    await copy(remote('skopeo/image:v1'), `oci:${bench.home.file('pulled-image')}:v1`);
    expect(await pulledDigest('pulled-image')).toBe(bench.layout.image.digest);
  });

  it('inspects it', async () => {
    await copy(local('image'), remote('skopeo/inspected:v1'));
    expect(JSON.parse(await ask('inspect', remote('skopeo/inspected:v1')))).toMatchObject({
      Digest: bench.layout.image.digest,
      RepoTags: ['v1'],
      Architecture: 'amd64',
    });
    const config = await ask('inspect', '--config', remote('skopeo/inspected:v1'));
    expect(JSON.parse(config)).toMatchObject({ config: { Cmd: ['/bin/sh'] } });
  });

  it('pushes an index of two architectures and pulls all of it with the same digest', async () => {
    await copy('--all', local('index'), remote('skopeo/index:v1'));
    const { digest, mediaType, manifest } = await bench.served('skopeo/index:v1');
    expect({ digest, mediaType }).toEqual({ digest: bench.layout.index.digest, mediaType: OCI_INDEX });
    expect(manifest.manifests?.map(({ platform }) => platform?.architecture)).toEqual(['amd64', 'arm64']);
    await copy('--all', remote('skopeo/index:v1'), `oci:${bench.home.file('pulled-index')}:v1`);
    expect(await pulledDigest('pulled-index')).toBe(bench.layout.index.digest);
  });

  it('copies between repositories by mounting: no layer is sent again', async () => {
    await copy('--all', local('index'), remote('skopeo/from:v1'));
    const before = await bench.uploadsBegun();
    await copy('--all', remote('skopeo/from:v1'), remote('skopeo/to:v1'));
    expect((await bench.served('skopeo/to:v1')).digest).toBe(bench.layout.index.digest);
    // One per image: skopeo never mounts a configuration.
    expect((await bench.uploadsBegun()) - before).toBe(2);
  });

  it('pushes in the format of Docker', async () => {
    await copy('--format', 'v2s2', local('image'), remote('skopeo/docker:v1'));
    const { digest, mediaType, manifest } = await bench.served('skopeo/docker:v1');
    expect(mediaType).toBe('application/vnd.docker.distribution.manifest.v2+json');
    expect(manifest.layers).toHaveLength(3);
    expect(JSON.parse(await ask('inspect', remote('skopeo/docker:v1')))).toMatchObject({ Digest: digest });
  });

  it('lists and deletes', async () => {
    await copy(local('image'), remote('skopeo/tags:v1'));
    await copy(local('image'), remote('skopeo/tags:v2'));
    expect(JSON.parse(await ask('list-tags', remote('skopeo/tags')))).toMatchObject({ Tags: ['v1', 'v2'] });
    await ask('delete', remote('skopeo/tags:v1'));
    // It deletes the manifest that the tag names, and so every tag of it.
    expect(JSON.parse(await ask('list-tags', remote('skopeo/tags')))).toMatchObject({ Tags: [] });
    await expect(copy(remote('skopeo/tags:v2'), `oci:${bench.home.file('none')}:v1`)).rejects.toThrow(
      'manifest unknown',
    );
  });

  it('fails with words on what is not there', async () => {
    await expect(ask('inspect', remote('skopeo/nothing:v1'))).rejects.toThrow(/unknown/);
  });
});

import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { InteropBench } from '../support/interop-bench.js';
import { describeWithClients, findProgram } from '../support/registry-tool.js';

describeWithClients('buildah', ['buildah', 'skopeo', 'busybox'], () => {
  let bench: InteropBench;
  beforeAll(async () => void (bench = await InteropBench.open()));
  afterAll(() => bench.dispose());

  const buildah = async (...args: string[]) =>
    (await bench.run('buildah', '--storage-driver', 'vfs', ...args)).stdout.trim();
  const remote = (reference: string) => `docker://${bench.registry}/${reference}`;

  async function push(what: string, reference: string, ...flags: string[]): Promise<string> {
    const digestFile = bench.home.file('digest');
    await buildah(
      'push',
      '--tls-verify=false',
      '--digestfile',
      digestFile,
      ...flags,
      what,
      remote(reference),
    );
    return readFile(digestFile, 'utf8');
  }

  it.each(['oci', 'v2s2'])('builds an image, pushes it as %s and pulls it', async (format) => {
    const container = await buildah('from', 'scratch');
    for (const name of ['one', 'two']) {
      await buildah('copy', container, findProgram('busybox') ?? '', `/bin/${name}`);
      await buildah(
        'commit',
        '--format',
        format === 'oci' ? 'oci' : 'docker',
        container,
        `localhost/${format}`,
      );
    }
    const id = await buildah(
      'inspect',
      '--type',
      'image',
      '--format',
      '{{.FromImageID}}',
      `localhost/${format}`,
    );
    const digest = await push(`localhost/${format}`, `buildah/${format}:v1`, '--format', format);
    expect((await bench.served(`buildah/${format}:v1`)).digest).toBe(digest);
    await buildah('rmi', '--force', '--all');
    // The image's id is the digest of its configuration, which names every layer's content.
    const pulled = await buildah('pull', '--tls-verify=false', `${bench.registry}/buildah/${format}:v1`);
    expect(pulled).toBe(id);
  });

  it('makes a manifest list from what is in the registry and pushes all of it', async () => {
    await bench.push('buildah/index');
    await buildah('manifest', 'create', 'list');
    await buildah('manifest', 'add', '--all', '--tls-verify=false', 'list', remote('buildah/index:v1'));
    await buildah('manifest', 'push', '--all', '--tls-verify=false', 'list', remote('buildah/list:v1'));
    const original = await bench.served('buildah/index:v1');
    const list = await bench.served('buildah/list:v1');
    const digests = (of: typeof list) => of.manifest.manifests?.map(({ digest }) => digest).sort();
    expect(digests(list)).toEqual(digests(original));
    expect(digests(list)).toContain(bench.layout.image.digest);
  });

  it('begins a build from an image in the registry', async () => {
    await bench.push('buildah/base');
    const base = `${bench.registry}/buildah/base:v1`;
    const container = await buildah('from', '--tls-verify=false', '--arch', 'amd64', base);
    const mounted = await buildah('mount', container);
    expect(await readFile(`${mounted}/etc/architecture`, 'utf8')).toBe('amd64\n');
    await buildah('rm', container);
  });
});

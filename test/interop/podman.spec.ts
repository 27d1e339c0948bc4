import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { InteropBench } from '../support/interop-bench.js';
import { describeWithClients } from '../support/registry-tool.js';

describeWithClients('podman', ['podman', 'skopeo', 'busybox'], () => {
  let bench: InteropBench;
  beforeAll(async () => void (bench = await InteropBench.open()));
  afterAll(() => bench.dispose());

  const podman = async (...args: string[]) =>
    (await bench.run('podman', '--storage-driver', 'vfs', ...args)).stdout.trim();
  const image = (reference: string) => `${bench.registry}/${reference}`;
  const pull = (reference: string, ...flags: string[]) =>
    podman('pull', '--tls-verify=false', ...flags, image(reference));
  const inspect = (reference: string, format: string) =>
    podman('image', 'inspect', '--format', format, image(reference));

  async function push(from: string, to: string): Promise<string> {
    const digestFile = bench.home.file('digest');
    await podman('push', '--tls-verify=false', '--digestfile', digestFile, image(from), image(to));
    return readFile(digestFile, 'utf8');
  }

  it('pulls an image by its digest', async () => {
    await bench.push('podman/image');
    const { digest } = bench.layout.image;
    await pull(`podman/image@${digest}`);
    expect(await inspect(`podman/image@${digest}`, '{{.Digest}}')).toBe(digest);
    await podman('rmi', '--all', '--force');
  });

  it.each(['amd64', 'arm64'])('pulls the image for %s out of an index', async (architecture) => {
    await bench.push('podman/index');
    await pull('podman/index:v1', '--arch', architecture);
    expect(await inspect('podman/index:v1', '{{.Architecture}}')).toBe(architecture);
    await podman('rmi', '--all', '--force');
  });

  it('pushes an image and pulls it with the same digest and the same layers', async () => {
    await bench.push('podman/source');
    await pull('podman/source:v1');
    const layers = await inspect('podman/source:v1', '{{.RootFS.Layers}}');
    const digest = await push('podman/source:v1', 'podman/target:v1');
    expect((await bench.served('podman/target:v1')).digest).toBe(digest);
    await podman('rmi', '--all', '--force');
    await pull('podman/target:v1');
    expect(await inspect('podman/target:v1', '{{.Digest}}')).toBe(digest);
    expect(await inspect('podman/target:v1', '{{.RootFS.Layers}}')).toBe(layers);
    await podman('rmi', '--all', '--force');
  });

  it('makes a manifest list and pushes all of it', async () => {
    await bench.push('podman/origin');
    const { digest } = bench.layout.image;
    await podman('manifest', 'create', 'list');
    await podman(
      'manifest',
      'add',
      '--tls-verify=false',
      'list',
      `docker://${image('podman/origin')}@${digest}`,
    );
    const target = `docker://${image('podman/list:v1')}`;
    await podman('manifest', 'push', '--all', '--tls-verify=false', 'list', target);
    const { manifest } = await bench.served('podman/list:v1');
    expect(manifest.manifests?.map((child) => child.digest)).toEqual([digest]);
  });

  it('searches the catalogue', async () => {
    await bench.push('podman/search');
    const found = await podman('search', '--tls-verify=false', '--list-tags', image('podman/search'));
    expect(found).toMatch(/podman\/search +v1/);
  });
});

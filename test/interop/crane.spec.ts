import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { InteropBench } from '../support/interop-bench.js';
import { describeWithClients } from '../support/registry-tool.js';

describeWithClients('crane', ['crane', 'skopeo', 'busybox'], () => {
  let bench: InteropBench;
  beforeAll(async () => void (bench = await InteropBench.open()));
  afterAll(() => bench.dispose());

  const crane = async (...args: string[]) => (await bench.run('crane', '--insecure', ...args)).stdout.trim();
  const remote = (reference: string) => `${bench.registry}/${reference}`;

  it('pulls an index as a layout, and pushes that as an index of the index', async () => {
    await bench.push('crane/index');
    const directory = bench.home.file('crane-layout');
    await crane('pull', '--format', 'oci', remote('crane/index:v1'), directory);
    await crane('push', '--index', directory, remote('crane/again:v1'));
    const { manifest } = await bench.served('crane/again:v1');
    expect(manifest.manifests?.map(({ digest }) => digest)).toEqual([bench.layout.index.digest]);
  });

  it('pulls an image as an archive and pushes it with the same layers', async () => {
    await bench.push('crane/image');
    const archive = bench.home.file('crane.tar');
    await crane('pull', '--platform', 'linux/amd64', remote('crane/image:v1'), archive);
    await crane('push', archive, remote('crane/archive:v1'));
    const layers = async (reference: string) =>
      (await bench.served(reference)).manifest.layers?.map(({ digest }) => digest);
    expect(await layers('crane/archive:v1')).toEqual(
      await layers(`crane/image@${bench.layout.image.digest}`),
    );
  });

  it('copies all architectures by mounting: no byte is sent again', async () => {
    await bench.push('crane/from');
    const before = await bench.uploadsBegun();
    await crane('copy', remote('crane/from:v1'), remote('crane/to:v1'));
    expect(await crane('digest', remote('crane/to:v1'))).toBe(bench.layout.index.digest);
    expect(await bench.uploadsBegun()).toBe(before);
  });

  it('validates what it downloads', async () => {
    await bench.push('crane/valid');
    expect(await crane('validate', '--remote', remote('crane/valid:v1'))).toContain('PASS');
  });

  it('tags, lists and deletes', async () => {
    await bench.push('crane/tags');
    await crane('tag', remote('crane/tags:v1'), 'v2');
    expect(await crane('ls', remote('crane/tags'))).toBe('v1\nv2');
    expect((await crane('catalog', bench.registry)).split('\n')).toContain('crane/tags');
    await crane('delete', remote(`crane/tags@${bench.layout.index.digest}`));
    expect(await crane('ls', remote('crane/tags'))).toBe('');
  });
});

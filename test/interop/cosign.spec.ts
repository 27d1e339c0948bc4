import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { InteropBench } from '../support/interop-bench.js';
import { describeWithClients } from '../support/registry-tool.js';

/** No transparency log: it is another machine. These flags are cosign 3's. */
const LEGACY = ['--new-bundle-format=false'];

describeWithClients('cosign', ['cosign', 'skopeo', 'busybox'], () => {
  let bench: InteropBench;
  beforeAll(async () => {
    bench = await InteropBench.open();
    await cosign('generate-key-pair');
    await cosign('signing-config', 'create', '--out', 'signing-config.json');
  });
  afterAll(() => bench.dispose());

  const cosign = async (...args: string[]) =>
    (await bench.home.run('cosign', args, { COSIGN_PASSWORD: '' })).stdout;
  const signed = (name: string) => `${bench.registry}/${name}@${bench.layout.index.digest}`;
  const verify = (reference: string, ...flags: string[]) =>
    cosign(
      'verify',
      ...['--key', 'cosign.pub', '--insecure-ignore-tlog=true', '--allow-http-registry', ...flags],
      reference,
    );
  const sign = (reference: string, ...flags: string[]) =>
    cosign('sign', '--yes', '--key', 'cosign.key', '--allow-http-registry', ...flags, reference);

  it('attaches a signature as a referrer and verifies it', async () => {
    await bench.push('cosign/bundle');
    const reference = signed('cosign/bundle');
    await expect(verify(reference)).rejects.toThrow(/no signatures found/);
    await sign(reference, '--signing-config', 'signing-config.json');
    expect(await verify(reference)).toContain(bench.layout.index.digest);
  });

  it('stores a signature under a tag, as older versions do, and verifies it', async () => {
    await bench.push('cosign/tag');
    const reference = signed('cosign/tag');
    await sign(reference, '--use-signing-config=false', '--tlog-upload=false', ...LEGACY);
    expect(await verify(reference, ...LEGACY)).toContain(bench.layout.index.digest);
    const { digest } = bench.layout.index;
    const signature = await bench.served(`cosign/tag:${digest.replace(':', '-')}.sig`);
    expect(signature.manifest.layers).toHaveLength(1);
  });

  it('carries an image with its signatures to another repository', async () => {
    await bench.push('cosign/saved');
    const reference = signed('cosign/saved');
    await sign(reference, '--use-signing-config=false', '--tlog-upload=false', ...LEGACY);
    await cosign('save', '--allow-http-registry', '--dir', 'saved', reference);
    const loaded = `${bench.registry}/cosign/loaded:v1`;
    await cosign('load', '--allow-http-registry', '--dir', 'saved', loaded);
    expect(await verify(loaded, ...LEGACY)).toContain(bench.layout.index.digest);
  });
});

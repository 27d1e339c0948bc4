import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { authorityOf } from '../support/https-client.js';
import { makeOciLayout, type OciLayout } from '../support/oci-layout.js';
import { digestOf, OCI_MANIFEST, RegistryClient } from '../support/registry-client.js';
import { describeWithClients, findProgram, ToolHome } from '../support/registry-tool.js';
import { OwnBerth } from '../support/running-berth.js';

describeWithClients('skopeo, with TLS=auto', ['skopeo', 'busybox'], () => {
  let berth: OwnBerth;
  let home: ToolHome;
  let layout: OciLayout;
  let host: string;

  beforeAll(async () => {
    berth = await OwnBerth.start({ TLS: 'auto' });
    ({ host } = new URL(berth.url));
    home = await ToolHome.create(new URL(berth.url));
    layout = await makeOciLayout(home.file('layout'), findProgram('busybox') ?? process.execPath);
  });
  afterAll(async () => {
    await berth.dispose();
    await home.dispose();
  });

  const push = (name: string, ...options: string[]) =>
    home.run('skopeo', ['copy', ...options, `oci:${layout.directory}:image`, `docker://${host}/${name}:v1`]);

  it('does not push before it trusts the authority', async () => {
    await expect(push('tls/early')).rejects.toThrow(/certificate signed by unknown authority/);
  });

  it.each([
    ['a directory of its options', 'certs/ca.crt', '--dest-cert-dir'],
    ['the directory of the registry', '.config/containers/certs.d/HOST/ca.crt', undefined],
  ])('pushes with the authority in %s', async (_, path, option) => {
    const file = home.file(path.replace('HOST', host));
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, await authorityOf(berth.url));
    await push('tls/image', ...(option === undefined ? [] : [option, dirname(file)]));
    const init = { headers: { Accept: OCI_MANIFEST } };
    const served = await new RegistryClient(berth.url).fetch('/v2/tls/image/manifests/v1', init);
    expect(digestOf(await served.text())).toBe(layout.image.digest);
  });
});

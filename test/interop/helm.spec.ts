import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { InteropBench } from '../support/interop-bench.js';
import { digestOf } from '../support/registry-client.js';
import { describeWithClients } from '../support/registry-tool.js';

const CHART = 'apiVersion: v2\nname: berthed\nversion: 1.2.3\ndescription: A chart to push\n';
const TEMPLATE = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: berthed\n';

describeWithClients('helm', ['helm'], () => {
  let bench: InteropBench;
  beforeAll(async () => {
    bench = await InteropBench.open();
    await mkdir(bench.home.file('berthed/templates'), { recursive: true });
    await mkdir(bench.home.file('pulled'));
    await writeFile(bench.home.file('berthed/Chart.yaml'), CHART);
    await writeFile(bench.home.file('berthed/templates/map.yaml'), TEMPLATE);
  });
  afterAll(() => bench.dispose());

  const helm = (...args: string[]) => bench.run('helm', ...args);

  it('pushes a chart and pulls the same bytes', async () => {
    await helm('package', 'berthed');
    await helm('push', '--plain-http', 'berthed-1.2.3.tgz', `oci://${bench.registry}/charts`);
    const chart = `oci://${bench.registry}/charts/berthed`;
    await helm(
      'pull',
      '--plain-http',
      '--version',
      '1.2.3',
      '--destination',
      bench.home.file('pulled'),
      chart,
    );
    const pulled = await readFile(bench.home.file('pulled/berthed-1.2.3.tgz'));
    expect(digestOf(pulled)).toBe(digestOf(await readFile(bench.home.file('berthed-1.2.3.tgz'))));
    expect((await bench.served('charts/berthed:1.2.3')).manifest.layers).toHaveLength(1);
  });
});

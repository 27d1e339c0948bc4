import { expect, it } from '@jest/globals';
import { RegistryClient } from '../support/registry-client.js';
import { useProcessBench } from '../support/set-up.js';

const bench = useProcessBench();

it('a restart with STORAGE_DRIVER=memory forgets images', async () => {
  const settings = { DATA_DIR: bench.newDataDir(), STORAGE_DRIVER: 'memory' };
  const first = bench.start(settings);
  const client = new RegistryClient(await first.url());
  await client.putManifest('gone', 'v1', await client.makeImage('gone'));
  first.signal('SIGTERM');
  await first.ended();
  const again = new RegistryClient(await bench.start(settings).url());
  expect((await again.fetch('/v2/gone/manifests/v1')).status).toBe(404);
});

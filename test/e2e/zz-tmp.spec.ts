import { writeFile } from 'node:fs/promises';
import { it } from '@jest/globals';
import { startTestBerth } from '../support/test-berth.js';
it('x', async () => {
  const berth = await startTestBerth();
  const t = performance.now();
  const r = await fetch(`${berth.url}/api/docs-json`);
  const text = await r.text();
  await writeFile('/tmp/doc.json', text);
  const h = await fetch(`${berth.url}/api/docs`);
  await writeFile('/tmp/doc.html', `${performance.now() - t}\n${JSON.stringify([...h.headers])}\n` + await h.text());
  await berth.dispose();
});

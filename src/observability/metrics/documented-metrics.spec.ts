import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { registry } from './registry.js';

/** As the registry has them; prom-client's types leave out the names of the labels. */
interface Defined {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
}

const page = readFileSync(join(import.meta.dirname, '../../../docs/metrics.md'), 'utf8');
const documented = [...page.matchAll(/^\| `(berth_\w+)` .*$/gm)];

async function defined(): Promise<[string, string][]> {
  for (const file of readdirSync(import.meta.dirname).filter((name) => /\.metrics\.(ts|js)$/.test(name)))
    await import(`./${file.replace(/\.ts$/, '.js')}`);
  const metrics = registry.getMetricsAsArray() as unknown as Defined[];
  const types = new Map((await registry.getMetricsAsJSON()).map(({ name, type }) => [name, String(type)]));
  return metrics.map(({ name, help, labelNames }) => {
    const labels = labelNames.map((label) => `\`${label}\``).join(', ');
    return [name, `| \`${name}\` | ${types.get(name)} | ${labels}${labels && ' '}| ${help} |`];
  });
}

it('docs/metrics.md has a row for each metric, and no other', async () => {
  const rows = await defined();
  expect(rows.length).toBeGreaterThan(40);
  expect(documented.map(([row]) => row).sort()).toEqual(rows.map(([, row]) => row).sort());
});

it('names follow the practice of Prometheus: base units, and _total for counters alone', async () => {
  const types = new Map((await registry.getMetricsAsJSON()).map(({ name, type }) => [name, String(type)]));
  for (const [name] of await defined()) {
    expect([name, name.endsWith('_total')]).toEqual([name, types.get(name) === 'counter']);
    expect(name).toMatch(/^berth_[a-z_]+$/);
    expect(name).not.toMatch(/_(ms|milliseconds|minutes|kib|mib|kilobytes|megabytes|percent)(_|$)/);
  }
});

import { expect, it } from '@jest/globals';
import { Histogram, Registry } from 'prom-client';
import { BoundCounter } from './bound-counter.js';
import { BoundHistogram } from './bound-histogram.js';
import { format, type MetricsSnapshot, registry, snapshot, sum } from './registry.js';

const only = (metrics: MetricsSnapshot, name: string) => metrics.filter((metric) => metric.name === name);

it('a histogram is what prom-client makes of the same observations', async () => {
  const options = {
    name: 'test_seconds',
    help: 'A test',
    labelNames: ['of'] as const,
    buckets: [0.1, 1, 10],
  };
  const own = new BoundHistogram(options);
  const peers = new Registry();
  const peer = new Histogram({ ...options, buckets: [...options.buckets], registers: [peers] });
  for (const [of, value] of [
    ['a', 0],
    ['a', 0.1],
    ['a', 0.1000001],
    ['b', 10],
    ['b', 11],
    ['b', 1e9],
  ] as const) {
    own.series(of).observe(value);
    peer.observe({ of }, value);
  }
  const lines = (text: string) =>
    text
      .split('\n')
      .filter((line) => line !== '')
      .sort();
  // The order of labels is free.
  const sorted = (text: string) =>
    lines(text)
      .map((line) => line.replace(/\{(le="[^"]*"),(.*)\}/, '{$2,$1}'))
      .sort();
  expect(sorted(await format([only(await snapshot(), 'test_seconds')]))).toEqual(
    sorted(await peers.metrics()),
  );
  registry.removeSingleMetric('test_seconds');
});

it('a counter has a series for each combination of labels, which begins with 0', async () => {
  const counter = new BoundCounter({ name: 'test_total', help: 'A test', labelNames: ['of', 'kind'] });
  counter.series('a', 'x');
  counter.inc(['b', 'y'], 3);
  counter.inc(['b', 'y']);
  const text = await format([only(await snapshot(), 'test_total')]);
  expect(text).toContain('test_total{of="a",kind="x"} 0\n');
  expect(text).toContain('test_total{of="b",kind="y"} 4\n');
  registry.removeSingleMetric('test_total');
});

it('adds up counters of several processes, with labels that only some of them have, and leaves out null', async () => {
  const counter = (values: [string, number][]) => [
    {
      ...{ name: 'c_total', help: 'C', type: 'counter', aggregator: 'sum' },
      values: values.map(([of, value]) => ({ labels: { of }, value })),
    },
  ];
  // What a channel between processes makes of a value that is not finite.
  const broken = JSON.parse('null') as number;
  const snapshots = [
    counter([['a', 1]]),
    counter([
      ['a', 2],
      ['b', 5],
    ]),
    counter([['b', broken]]),
  ];
  const [total] = await sum(snapshots as unknown as MetricsSnapshot[]);
  expect(total?.values).toMatchObject([
    { labels: { of: 'a' }, value: 3 },
    { labels: { of: 'b' }, value: 5 },
  ]);
});

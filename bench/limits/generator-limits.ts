import { join } from 'node:path';
import { connectionsText, sizeText, type Sizes } from '../cases/sizes.js';
import { median } from '../report/statistics.js';
import { withChildServer } from './child-server.js';
import { getLimit } from './get-limit.js';
import type { Limit, LimitContext, LimitFigure } from './limit.js';

const CANNED = join(import.meta.dirname, '../load/canned-server.js');
const MANIFEST_BYTES = 600;
const MAX_PUSHES_PER_SECOND = 50_000;

/** The generator's speed against a server that does almost nothing: the limit of what can be measured. */
export function generatorLimits(sizes: Sizes): Limit[] {
  return [
    ...[1, 32, 128].map((connections) => gets(MANIFEST_BYTES, connections, 'requests/s')),
    gets(sizes.mediumBlobBytes, 16, 'MB/s'),
    gets(sizes.largeBlobBytes, 1, 'MB/s'),
    pushes(sizes.smallBlobBytes, 16, 'pushes/s'),
    pushes(sizes.largeBlobBytes, 1, 'MB/s'),
  ];
}

function gets(bodyBytes: number, connections: number, unit: 'requests/s' | 'MB/s'): Limit {
  const size = bodyBytes < 1024 ? `${bodyBytes} bytes` : sizeText(bodyBytes);
  return {
    name: `generator: GET ${size} of a canned server, ${connectionsText(connections)}`,
    unit,
    measure: (context) =>
      withChildServer(context, CANNED, (port) =>
        getLimit(context, { port, path: `/${bodyBytes}`, bodyBytes, connections, unit }),
      ),
  };
}

function pushes(sizeBytes: number, connections: number, unit: 'pushes/s' | 'MB/s'): Limit {
  return {
    name: `generator: push ${sizeText(sizeBytes)} to a canned server, ${connectionsText(connections)}`,
    unit,
    measure: (context) =>
      withChildServer(context, CANNED, (port) => measurePushes(context, port, sizeBytes, connections, unit)),
  };
}

async function measurePushes(
  { generator, rounds, seconds }: LimitContext,
  port: number,
  sizeBytes: number,
  connections: number,
  unit: 'pushes/s' | 'MB/s',
): Promise<LimitFigure> {
  const values: number[] = [];
  let generatorCpu = 0;
  for (let round = 0; round <= rounds; round += 1) {
    const result = await generator.run({
      kind: 'push',
      port,
      connections,
      repository: 'canned',
      form: 'put',
      sizeBytes,
      count: unit === 'MB/s' ? 8 : Math.ceil(seconds * MAX_PUSHES_PER_SECOND),
      seconds,
      label: `canned ${round}`,
    });
    if (round === 0) continue;
    values.push((unit === 'MB/s' ? result.bytes / 1e6 : result.latenciesMs.length) / result.seconds);
    generatorCpu = Math.max(generatorCpu, result.generatorCpu);
  }
  return { value: median(values), generatorCpu };
}

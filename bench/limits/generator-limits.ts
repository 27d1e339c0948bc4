import { join } from 'node:path';
import { connectionsText, sizeText, type Sizes } from '../cases/sizes.js';
import { withChildServer } from './child-server.js';
import { getLimit } from './get-limit.js';
import type { Limit } from './limit.js';
import { pushLimit, type LimitedPush } from './push-limit.js';

const CANNED = join(import.meta.dirname, '../load/canned-server.js');
const MANIFEST_BYTES = 600;

/** The generator's speed against a server that does almost nothing: the limit of what can be measured. */
export function generatorLimits(sizes: Sizes): Limit[] {
  return [
    ...[1, 32, 128].map((connections) => gets(MANIFEST_BYTES, connections, 'requests/s')),
    gets(sizes.mediumBlobBytes, 16, 'MB/s'),
    gets(sizes.largeBlobBytes, 1, 'MB/s'),
    pushes({ sizeBytes: sizes.smallBlobBytes, connections: 16, form: 'put', unit: 'pushes/s' }),
    pushes({ sizeBytes: sizes.largeBlobBytes, connections: 1, form: 'put', unit: 'MB/s' }),
    pushes({ sizeBytes: sizes.largeBlobBytes, connections: 1, form: 'stream', unit: 'MB/s' }),
  ];
}

function gets(bodyBytes: number, connections: number, unit: 'requests/s' | 'MB/s'): Limit {
  const size = bodyBytes < 1024 ? `${bodyBytes} bytes` : sizeText(bodyBytes);
  return {
    name: `generator: GET ${size} of a canned server, ${connectionsText(connections)}`,
    unit,
    measure: (context) =>
      withChildServer(context, { program: CANNED }, (port) =>
        getLimit(context, { port, path: `/${bodyBytes}`, bodyBytes, connections, unit }),
      ),
  };
}

function pushes(push: LimitedPush): Limit {
  const { sizeBytes, connections, form, unit } = push;
  const how = form === 'stream' ? ' in chunks' : '';
  return {
    name: `generator: push ${sizeText(sizeBytes)}${how} to a canned server, ${connectionsText(connections)}`,
    unit,
    measure: (context) =>
      withChildServer(context, { program: CANNED }, (port) => pushLimit(context, port, push)),
  };
}

import { join } from 'node:path';
import { sizeText, type Sizes } from '../cases/sizes.js';
import { withChild, withChildServer } from './child-server.js';
import { bareUploadsName, LAYERS_AT_ONCE } from './limit-names.js';
import type { Limit } from './limit.js';
import { pushLimit } from './push-limit.js';

const HASH = join(import.meta.dirname, 'hash.js');
const BARE_UPLOADS = join(import.meta.dirname, 'bare-uploads.js');

/** What a push takes without HTTP, database and directories: reading, hashing, writing and flushing. */
export function uploadLimits(sizes: Sizes): Limit[] {
  return [
    {
      name: `limit: sha256 of ${sizeText(sizes.largeBlobBytes)}, one core`,
      unit: 'MB/s',
      measure: async (context) => {
        const args = [`${sizes.largeBlobBytes}`, `${context.rounds}`];
        return { value: await withChild(context, { program: HASH, args }, Number) };
      },
    },
    bareUploads(sizes.largeBlobBytes, 1),
    bareUploads(sizes.layerBytes, LAYERS_AT_ONCE),
  ];
}

function bareUploads(sizeBytes: number, connections: number): Limit {
  return {
    name: bareUploadsName(sizeBytes, connections),
    unit: 'MB/s',
    measure: async (context) => {
      if (process.platform !== 'linux') return undefined;
      const directory = await context.workspace.newDirectory('uploads');
      // A write and a flush of each connection at once.
      const env = { UV_THREADPOOL_SIZE: `${2 * connections + 2}` };
      const child = { program: BARE_UPLOADS, args: [directory, `${connections}`], env };
      return withChildServer(context, child, (port) =>
        pushLimit(context, port, { sizeBytes, connections, form: 'put', unit: 'MB/s' }),
      );
    },
  };
}

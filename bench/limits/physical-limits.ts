import { randomFillSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectionsText, sizeText, type Sizes } from '../cases/sizes.js';
import { withChildServer } from './child-server.js';
import { diskLimits } from './disk-limits.js';
import { getLimit } from './get-limit.js';
import type { Limit } from './limit.js';
import { hasNginx, withNginx } from './nginx.js';
import { uploadLimits } from './upload-limits.js';

/** The limits of pushes and pulls: the hash, the disk, the kernel, Node's HTTP. */
export function physicalLimits(sizes: Sizes): Limit[] {
  return [
    ...uploadLimits(sizes),
    ...diskLimits(sizes),
    nginxLimit(sizes.largeBlobBytes, 1),
    nginxLimit(sizes.mediumBlobBytes, 16),
    nginxLimit(sizes.smallBlobBytes, 16),
    ...[1, 32, 128].map(bareHttp),
  ];
}

function nginxLimit(sizeBytes: number, connections: number): Limit {
  const unit = sizeBytes < 64 * 1024 ? 'requests/s' : 'MB/s';
  return {
    name: `limit: nginx, file of ${sizeText(sizeBytes)}, ${connectionsText(connections)}`,
    unit,
    measure: async (context) => {
      if (!(await hasNginx())) return undefined;
      return withNginx(context, async (port, files) => {
        await writeFile(join(files, 'file'), randomFillSync(Buffer.allocUnsafe(sizeBytes)));
        return getLimit(context, { port, path: '/file', bodyBytes: sizeBytes, connections, unit });
      });
    },
  };
}

function bareHttp(connections: number): Limit {
  return {
    name: `limit: bare node:http, one process, ${connectionsText(connections)}`,
    unit: 'requests/s',
    measure: (context) =>
      withChildServer(context, { program: join(import.meta.dirname, 'bare-http.js') }, (port) =>
        getLimit(context, { port, path: '/', bodyBytes: 600, connections, unit: 'requests/s' }),
      ),
  };
}

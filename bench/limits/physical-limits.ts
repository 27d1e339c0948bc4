import { createHash, randomFillSync } from 'node:crypto';
import { open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectionsText, sizeText, type Sizes } from '../cases/sizes.js';
import { median } from '../report/statistics.js';
import { withChildServer } from './child-server.js';
import { getLimit } from './get-limit.js';
import type { Limit, LimitContext } from './limit.js';
import { hasNginx, withNginx } from './nginx.js';

const PIECE_BYTES = 1024 * 1024;

/** The limits of pushes and pulls: the hash, the disk, the kernel, Node's HTTP. */
export function physicalLimits(sizes: Sizes): Limit[] {
  const large = sizeText(sizes.largeBlobBytes);
  return [
    { name: `limit: sha256 of ${large}, one core`, unit: 'MB/s', measure: hash },
    { name: `limit: write of ${large} + fdatasync`, unit: 'MB/s', measure: write },
    nginxLimit(sizes.largeBlobBytes, 1),
    nginxLimit(sizes.mediumBlobBytes, 16),
    nginxLimit(sizes.smallBlobBytes, 16),
    ...[1, 32, 128].map(bareHttp),
  ];
}

async function hash(context: LimitContext): Promise<{ value: number }> {
  const bytes = randomFillSync(Buffer.allocUnsafe(context.sizes.largeBlobBytes));
  return {
    value: await medianRate(context, bytes.length, () => {
      createHash('sha256').update(bytes).digest();
      return Promise.resolve();
    }),
  };
}

async function write(context: LimitContext): Promise<{ value: number }> {
  const { workspace, sizes } = context;
  const path = join(await workspace.newDirectory('written'), 'file');
  const piece = randomFillSync(Buffer.allocUnsafe(PIECE_BYTES));
  const value = await medianRate(context, sizes.largeBlobBytes, async () => {
    const file = await open(path, 'w');
    for (let at = 0; at < sizes.largeBlobBytes; at += piece.length) await file.write(piece);
    await file.datasync();
    await file.close();
  });
  await rm(path);
  return { value };
}

async function medianRate(
  { rounds }: LimitContext,
  bytes: number,
  work: () => Promise<void>,
): Promise<number> {
  const rates: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const begun = performance.now();
    await work();
    if (round > 0) rates.push(bytes / 1e3 / (performance.now() - begun));
  }
  return median(rates);
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
      withChildServer(context, join(import.meta.dirname, 'bare-http.js'), (port) =>
        getLimit(context, { port, path: '/', bodyBytes: 600, connections, unit: 'requests/s' }),
      ),
  };
}

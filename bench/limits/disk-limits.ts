import { randomFillSync } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sizeText, type Sizes } from '../cases/sizes.js';
import { withChild } from './child-server.js';
import { smallFilesName } from './limit-names.js';
import type { Limit, LimitContext, LimitFigure } from './limit.js';
import { medianRate } from './median-rate.js';

const SMALL_FILES = join(import.meta.dirname, 'small-files.js');
const PIECE_BYTES = 1024 * 1024;
/** PostgreSQL's WAL: blocks of a file that has its length. */
const WAL_BYTES = 16 * 1024 * 1024;
const BLOCK_BYTES = 8 * 1024;
const BLOCKS_PER_ROUND = 100;

/** How fast the disk makes bytes durable: large files, small ones, a database's log. */
export function diskLimits(sizes: Sizes): Limit[] {
  return [
    {
      name: `limit: write of ${sizeText(sizes.largeBlobBytes)} + fdatasync`,
      unit: 'MB/s',
      measure: writeLarge,
    },
    ...[1, 8, 16].map((atOnce) => smallFiles(sizes.smallBlobBytes, atOnce)),
    {
      name: `limit: write of ${sizeText(BLOCK_BYTES)} + fdatasync, one after another, as of WAL`,
      unit: 'flushes/s',
      measure: flushLog,
    },
  ];
}

function smallFiles(bytes: number, atOnce: number): Limit {
  return {
    name: smallFilesName(bytes, atOnce),
    unit: 'files/s',
    measure: async (context) => {
      const directory = await context.workspace.newDirectory('files');
      const args = [directory, `${bytes}`, `${atOnce}`, `${context.rounds}`];
      const child = { program: SMALL_FILES, args, env: { UV_THREADPOOL_SIZE: `${atOnce}` } };
      return { value: await withChild(context, child, Number) };
    },
  };
}

async function writeLarge({ workspace, sizes, rounds }: LimitContext): Promise<LimitFigure> {
  const path = join(await workspace.newDirectory('written'), 'file');
  const piece = randomFillSync(Buffer.allocUnsafe(PIECE_BYTES));
  const value = await medianRate(rounds, sizes.largeBlobBytes / 1e6, async () => {
    const file = await open(path, 'w');
    for (let at = 0; at < sizes.largeBlobBytes; at += piece.length) await file.write(piece);
    await file.datasync();
    await file.close();
  });
  await rm(path);
  return { value };
}

async function flushLog({ workspace, rounds }: LimitContext): Promise<LimitFigure> {
  const file = await open(join(await workspace.newDirectory('log'), 'file'), 'wx');
  await file.write(Buffer.alloc(WAL_BYTES));
  await file.sync();
  const block = randomFillSync(Buffer.allocUnsafe(BLOCK_BYTES));
  const value = await medianRate(rounds, BLOCKS_PER_ROUND, async () => {
    for (let n = 0; n < BLOCKS_PER_ROUND; n += 1) {
      await file.write(block, 0, block.length, n * BLOCK_BYTES);
      await file.datasync();
    }
  });
  await file.close();
  return { value };
}

import { open, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { medianRate } from './median-rate.js';

/**
 * `small-files.js DIRECTORY BYTES AT_ONCE ROUNDS`: sends how many files per second become durable, each by a
 * write, a flush, a rename and a flush of the directory. UV_THREADPOOL_SIZE is to be at least AT_ONCE.
 */
const [directory = '', ...numbers] = process.argv.slice(2);
const [bytes = 0, atOnce = 1, rounds = 1] = numbers.map(Number);
const PER_WRITER = 25;
const content = Buffer.alloc(bytes, 'x');
let count = 0;

async function store(): Promise<void> {
  for (let n = 0; n < PER_WRITER; n += 1) {
    const path = join(directory, `${(count += 1)}`);
    const file = await open(`${path}.new`, 'wx');
    await file.write(content);
    await file.datasync();
    await file.close();
    await rename(`${path}.new`, path);
    const parent = await open(dirname(path));
    await parent.sync();
    await parent.close();
  }
}

const rate = await medianRate(rounds, PER_WRITER * atOnce, async () => {
  await Promise.all(Array.from({ length: atOnce }, store));
});
process.send?.(rate);

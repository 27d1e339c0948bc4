import { createHash, randomFillSync } from 'node:crypto';
import { medianRate } from './median-rate.js';

/** `hash.js BYTES ROUNDS`: sends the rate of sha256 on one core, in MB/s. */
const [bytes = 0, rounds = 1] = process.argv.slice(2).map(Number);
const content = randomFillSync(Buffer.allocUnsafe(bytes));
const rate = await medianRate(rounds, bytes / 1e6, () => {
  createHash('sha256').update(content).digest();
});
process.send?.(rate);

import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Logger } from '@nestjs/common';
import { BatchedJobs, inBatches } from './batched-jobs.js';

describe('BatchedJobs', () => {
  let stopping: AbortController;
  let warnings: string[];
  let done: string[];
  let jobs: BatchedJobs;

  beforeEach(() => {
    stopping = new AbortController();
    [warnings, done] = [[], []];
    const logger = { warn: (_: unknown, message: string) => warnings.push(message) };
    jobs = new BatchedJobs(stopping.signal, logger as unknown as Logger);
  });

  const noCheck = () => Promise.resolve();
  const counting = (name: string, batches: number, onBatch = (_batch: number) => {}) => ({
    failure: `${name} failed`,
    batches: (async function* (): AsyncGenerator<void, void> {
      try {
        for (let batch = 1; batch <= batches; batch += 1) {
          done.push(`${name}${batch}`);
          onBatch(batch);
          await Promise.resolve();
          yield;
        }
      } finally {
        done.push(`${name} closed`);
      }
    })(),
  });

  it('runs a batch of each job in turn until all are done', async () => {
    const isWorkLeft = await jobs.round([counting('a', 2), counting('b', 1)], noCheck);
    expect(isWorkLeft).toBe(false);
    expect(done).toEqual(['a1', 'b1', 'a2', 'b closed', 'a closed']);
  });

  it('continues unfinished jobs in the next round, and starts the others again', async () => {
    const start = performance.now();
    const clock = jest.spyOn(performance, 'now');
    try {
      const slow = counting('slow', 3, (batch) => batch === 1 && clock.mockReturnValue(start + 120_000));
      expect(await jobs.round([slow, counting('quick', 0)], noCheck)).toBe(true);
    } finally {
      clock.mockRestore();
    }
    expect(await jobs.round([counting('slow', 3), counting('quick', 1)], noCheck)).toBe(false);
    expect(done).toEqual([
      ...['slow1', 'quick closed'],
      ...['slow2', 'quick1', 'slow3', 'quick closed', 'slow closed'],
    ]);
  });

  it('logs a job that fails, and runs the others', async () => {
    const failing = counting('a', 2, () => {
      throw new Error('not now');
    });
    await jobs.round([failing, counting('b', 1)], noCheck);
    expect(warnings).toEqual(['a failed']);
    expect(done).toEqual(['a1', 'a closed', 'b1', 'b closed']);
  });

  it('ends a round, and its jobs, when the check before a turn fails', async () => {
    const checks = jest
      .fn(noCheck)
      .mockResolvedValueOnce()
      .mockRejectedValueOnce(new Error('another storage'));
    await expect(jobs.round([counting('a', 9)], checks)).rejects.toThrow('another storage');
    expect(done).toEqual(['a1', 'a closed']);
  });

  it('stops after the current batch when its signal aborts', async () => {
    await jobs.round([counting('a', 9, () => stopping.abort()), counting('b', 9)], noCheck);
    expect(done).toEqual(['a1', 'a closed']);
  });
});

describe('inBatches', () => {
  it('repeats the work until it returns less than a batch', async () => {
    const work = jest.fn<() => Promise<number>>().mockResolvedValue(3).mockResolvedValueOnce(10);
    let batches = 0;
    for await (const _ of inBatches(10, work)) batches += 1;
    expect([batches, work.mock.calls.length]).toEqual([1, 2]);
  });
});

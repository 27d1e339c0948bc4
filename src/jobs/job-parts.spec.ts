import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Logger } from '@nestjs/common';
import { inBatches, inTurns, type JobPart } from './job-parts.js';
import type { JobRun } from './job.js';

describe('inTurns', () => {
  let stopping: AbortController;
  let warnings: string[];
  let done: string[];

  beforeEach(() => {
    stopping = new AbortController();
    [warnings, done] = [[], []];
  });
  afterEach(() => void jest.restoreAllMocks());

  const noCheck = () => Promise.resolve();
  const counting = (name: string, batches: number, onBatch = (_batch: number) => {}): JobPart => ({
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
  /** Returns the number of batches. */
  const run = async (partsOf: () => readonly JobPart[], check = noCheck) => {
    const logger = { warn: (_: unknown, message: string) => warnings.push(message) } as unknown as Logger;
    let batches = 0;
    for await (const _ of inTurns({ signal: stopping.signal } as JobRun, logger, partsOf, check))
      batches += 1;
    return batches;
  };

  it('runs a batch of each part in turn until all are done', async () => {
    expect(await run(() => [counting('a', 2), counting('b', 1)])).toBe(3);
    expect(done).toEqual(['a1', 'b1', 'a2', 'b closed', 'a closed']);
  });

  it('starts parts that are done again after a minute, while others continue', async () => {
    const start = performance.now();
    const clock = jest.spyOn(performance, 'now');
    let rounds = 0;
    await run(() => {
      rounds += 1;
      if (rounds === 2) clock.mockRestore();
      const slow = counting('slow', 3, (batch) => batch === 1 && clock.mockReturnValue(start + 120_000));
      return [slow, counting('quick', rounds - 1)];
    });
    expect(done).toEqual([
      ...['slow1', 'quick closed'],
      ...['slow2', 'quick1', 'slow3', 'quick closed', 'slow closed'],
    ]);
  });

  it('logs a part that fails, runs the others, and fails in the end', async () => {
    const failing = counting('a', 2, () => {
      throw new Error('not now');
    });
    await expect(run(() => [failing, counting('b', 1)])).rejects.toThrow('a failed: not now');
    expect(warnings).toEqual(['a failed']);
    expect(done).toEqual(['a1', 'a closed', 'b1', 'b closed']);
  });

  it('ends with all its parts when the check before a turn fails', async () => {
    const checks = jest
      .fn(noCheck)
      .mockResolvedValueOnce()
      .mockRejectedValueOnce(new Error('another storage'));
    await expect(run(() => [counting('a', 9)], checks)).rejects.toThrow('another storage');
    expect(done).toEqual(['a1', 'a closed']);
  });

  it('stops after the current batch when its signal aborts', async () => {
    await run(() => [counting('a', 9, () => stopping.abort()), counting('b', 9)]);
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

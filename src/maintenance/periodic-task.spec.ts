import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { PeriodicTask } from './periodic-task.js';

describe('PeriodicTask', () => {
  beforeEach(() => {
    jest.useFakeTimers();
    jest.spyOn(Logger.prototype, 'warn').mockReturnValue(undefined);
  });
  afterEach(() => {
    jest.useRealTimers();
    jest.restoreAllMocks();
  });

  const started = (run: () => Promise<boolean>) => {
    const task = new PeriodicTask({ name: 'a task', intervalMs: 100_000, run });
    task.start();
    return task;
  };

  it('runs after an interval with jitter of 20 %, again and again', async () => {
    const run = jest.fn(() => Promise.resolve(false));
    const task = started(run);
    await jest.advanceTimersByTimeAsync(79_000);
    expect(run).not.toHaveBeenCalled();
    await jest.advanceTimersByTimeAsync(1_000_000);
    expect(run.mock.calls.length).toBeGreaterThanOrEqual(8);
    expect(run.mock.calls.length).toBeLessThanOrEqual(13);
    await task.stop();
  });

  it('runs again soon while work is left', async () => {
    const run = jest.fn<() => Promise<boolean>>().mockResolvedValue(false).mockResolvedValueOnce(true);
    const task = started(run);
    await jest.advanceTimersByTimeAsync(122_000);
    expect(run).toHaveBeenCalledTimes(2);
    await task.stop();
  });

  it('logs a failure and runs again', async () => {
    const run = jest.fn(() => Promise.reject(new Error('not now')));
    const task = started(run);
    await jest.advanceTimersByTimeAsync(250_000);
    expect(run.mock.calls.length).toBeGreaterThanOrEqual(2);
    expect(jest.mocked(Logger.prototype.warn).mock.calls[0]).toMatchObject([{ task: 'a task' }, /failed/]);
    await task.stop();
  });

  it('stops: aborts the run, waits for it and for the cleanup, and runs no more', async () => {
    const run = jest.fn(
      () => new Promise<boolean>((resolve) => task.signal.addEventListener('abort', () => resolve(true))),
    );
    const task = started(run);
    await jest.advanceTimersByTimeAsync(120_000);
    const cleanUp = jest.fn(() => Promise.resolve());
    await task.stop(cleanUp);
    expect(cleanUp).toHaveBeenCalledTimes(1);
    await jest.advanceTimersByTimeAsync(1_000_000);
    expect(run).toHaveBeenCalledTimes(1);
  });

  it('does not wait longer than a second for a run that hangs', async () => {
    const task = started(() => new Promise(() => undefined));
    await jest.advanceTimersByTimeAsync(120_000);
    const stopped = jest.fn();
    void task.stop().then(stopped);
    await jest.advanceTimersByTimeAsync(999);
    expect(stopped).not.toHaveBeenCalled();
    await jest.advanceTimersByTimeAsync(1);
    expect(stopped).toHaveBeenCalled();
  });
});

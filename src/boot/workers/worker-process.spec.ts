import { EventEmitter } from 'node:events';
import type { Worker } from 'node:cluster';
import { afterEach, expect, it, jest } from '@jest/globals';
import { AT_ONCE } from '../stop-options.js';
import { WorkerProcess } from './worker-process.js';

const EVENTS = {
  onServing: () => undefined,
  onReplaceMe: () => undefined,
  onFrozen: () => undefined,
  allMetrics: () => Promise.resolve(''),
};

afterEach(() => void jest.useRealTimers());

it.each([
  ['kills', 'one that serves and does not respond', '1.2.3', ['SIGKILL']],
  ['leaves', 'one of an older version, which does not know the question', undefined, []],
])('%s %s', (_does, _which, version, signals) => {
  jest.useFakeTimers();
  const sent: string[] = [];
  const forked = Object.assign(new EventEmitter(), {
    process: { pid: 1, kill: (signal: string) => sent.push(signal) },
    isConnected: () => true,
    send: () => true,
  });
  new WorkerProcess(forked as unknown as Worker, EVENTS);
  forked.emit('message', { berth: 'serving', url: 'http://127.0.0.1', version });
  jest.advanceTimersByTime(60_000);
  expect(sent).toEqual(signals);
  forked.emit('disconnect');
});

it('repeats a stop that a starting worker may have missed, after its next message', async () => {
  const told: unknown[] = [];
  const forked = Object.assign(new EventEmitter(), {
    process: { pid: 1 },
    isConnected: () => true,
    send: (message: unknown) => told.push(message),
  });
  const worker = new WorkerProcess(forked as unknown as Worker, EVENTS);
  forked.emit('message', { berth: 'holder', name: 'before the stop' });
  expect(told).toEqual([]);
  worker.stop(AT_ONCE);
  forked.emit('message', { berth: 'serving', url: 'http://127.0.0.1' });
  expect(told).toEqual(Array(2).fill({ berth: 'stop', options: AT_ONCE }));
  forked.emit('exit', 0, null);
  forked.emit('disconnect');
  expect(await worker.ended).toMatchObject({ isClean: true });
});

import { EventEmitter } from 'node:events';
import cluster, { type Worker } from 'node:cluster';
import { afterEach, expect, it, jest } from '@jest/globals';
import { pino } from 'pino';
import { AT_ONCE } from '../stop-options.js';
import { WorkerPool } from './worker-pool.js';

afterEach(() => void jest.restoreAllMocks());

it('serves, and logs a warning, if the process ids of the workers can not be written', async () => {
  const forked = Object.assign(new EventEmitter(), {
    process: { pid: 1, kill: () => true },
    isConnected: () => false,
  });
  jest.spyOn(cluster, 'setupPrimary').mockImplementation(() => undefined);
  jest.spyOn(cluster, 'fork').mockReturnValue(forked as unknown as Worker);
  const lines: string[] = [];
  const note = () => {
    throw Object.assign(new Error('EIO: i/o error, ftruncate'), { code: 'EIO' });
  };
  const pool = new WorkerPool({
    count: 1,
    environment: {},
    lock: { fd: 0, note, release: () => undefined },
    oldGenerations: 1,
    handoverSeconds: 0,
    logger: pino({}, { write: (line) => void lines.push(line) }),
  });
  const started = pool.start();
  forked.emit('message', { berth: 'serving', url: 'http://127.0.0.1' });
  expect(await started).toBe('http://127.0.0.1');
  expect(lines).toEqual([expect.stringMatching(/EIO.+workers\.lock/)]);
  const stopped = pool.stop(AT_ONCE);
  forked.emit('exit', 0, null);
  forked.emit('disconnect');
  await stopped;
});

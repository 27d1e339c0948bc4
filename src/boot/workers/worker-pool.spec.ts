import { EventEmitter } from 'node:events';
import cluster, { type Worker } from 'node:cluster';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { pino } from 'pino';
import { nodeGlobal } from '../../../test/support/node-global.js';
import { AT_ONCE } from '../stop-options.js';
import { WorkerPool, type WorkerPoolOptions } from './worker-pool.js';

/** A process that the pool forked. */
class Forked extends EventEmitter {
  readonly told: unknown[] = [];
  readonly process = { pid: 1, kill: jest.fn(() => true) };
  readonly isConnected = () => true;
  readonly send = (message: unknown) => this.told.push(message);

  serve(): void {
    this.emit('message', { berth: 'serving', url: 'http://127.0.0.1', version: '1.2.3' });
  }

  end(code = 0): void {
    this.emit('exit', code, null);
    this.emit('disconnect');
  }
}

describe('WorkerPool', () => {
  let forks: Forked[];
  let lines: { msg: string }[];
  beforeEach(() => {
    [forks, lines] = [[], []];
    jest.spyOn(cluster, 'setupPrimary').mockImplementation(() => undefined);
    jest.spyOn(cluster, 'fork').mockImplementation(() => {
      const forked = new Forked();
      forks.push(forked);
      return forked as unknown as Worker;
    });
  });
  afterEach(() => void jest.restoreAllMocks());

  function newPool(options: Partial<WorkerPoolOptions> = {}): WorkerPool {
    const write = (line: string) => void lines.push(JSON.parse(line) as { msg: string });
    return new WorkerPool({
      ...{ count: 1, oldGenerations: 1, handoverSeconds: 7, environment: {} },
      logger: pino({}, { write }),
      ...options,
    });
  }

  /** Returns the nth process when it was forked. */
  async function forked(n: number): Promise<Forked> {
    for (;;) {
      const found = forks[n];
      if (found !== undefined) return found;
      await turn();
    }
  }

  async function logged(message: RegExp): Promise<void> {
    while (!lines.some(({ msg }) => message.test(msg))) await turn();
  }

  async function stop(pool: WorkerPool, ...left: Forked[]): Promise<void> {
    const stopped = pool.stop(AT_ONCE);
    for (const each of left) each.end();
    await stopped;
  }

  it('serves, and logs a warning, if the process ids of the workers can not be written', async () => {
    const note = () => {
      throw Object.assign(new Error('EIO: i/o error, ftruncate'), { code: 'EIO' });
    };
    const pool = newPool({ lock: { fd: 0, note, release: () => undefined } });
    const started = pool.start();
    const worker = await forked(0);
    worker.serve();
    expect(await started).toBe('http://127.0.0.1');
    expect(lines).toMatchObject([{ msg: expect.stringMatching(/workers\.lock/), err: { code: 'EIO' } }]);
    await stop(pool, worker);
  });

  it('stops a worker only when its successor serves', async () => {
    const pool = newPool();
    void pool.start();
    const old = await forked(0);
    old.serve();
    pool.restart();
    const successor = await forked(1);
    await turn();
    expect(old.told).toEqual([]);
    successor.serve();
    await logged(/^restarted/);
    expect(old.told).toEqual([{ berth: 'stop', options: { graceSeconds: 7, isHandover: true } }]);
    await stop(pool, old, successor);
  });

  it('starts no successor while too many old workers run', async () => {
    const pool = newPool();
    void pool.start();
    const oldest = await forked(0);
    oldest.serve();
    pool.restart();
    const old = await forked(1);
    old.serve();
    await logged(/^restarted/);
    pool.restart();
    await logged(/^the restart waits: 1 worker of earlier restarts/);
    for (let turns = 0; turns < 100; turns += 1) await turn();
    expect(forks).toHaveLength(2);
    oldest.end();
    const successor = await forked(2);
    await stop(pool, old, successor);
  });

  it('replaces a successor that ends, while the old worker still finishes its requests', async () => {
    const pool = newPool();
    void pool.start();
    const old = await forked(0);
    old.serve();
    pool.restart();
    const successor = await forked(1);
    successor.serve();
    await logged(/^restarted/);
    successor.end(1);
    const next = await forked(2);
    await stop(pool, old, next);
  });

  it('tries again if a restart was requested while a new worker failed to start', async () => {
    const pool = newPool();
    void pool.start();
    const old = await forked(0);
    old.serve();
    pool.restart();
    const broken = await forked(1);
    pool.restart();
    broken.end(1);
    await logged(/^the restart failed; all workers continue: a new worker ended .+ exit code 1/);
    const successor = await forked(2);
    successor.serve();
    await logged(/^restarted in .+: 1 worker replaced, version 1\.2\.3$/);
    await stop(pool, old, successor);
  });

  it('kills a worker that does not respond, and starts another one', async () => {
    const { setInterval: every } = nodeGlobal;
    jest.spyOn(nodeGlobal, 'setInterval').mockImplementation((run) => every(run, 1));
    const pool = newPool();
    void pool.start();
    const frozen = await forked(0);
    frozen.serve();
    await logged(/^a worker has not responded for 10 s: killed/);
    expect(frozen.told).toEqual(Array(10).fill({ berth: 'alive?' }));
    expect(frozen.process.kill.mock.calls).toEqual([['SIGKILL']]);
    frozen.end();
    const next = await forked(1);
    await stop(pool, next);
  });

  it('kills a new worker that hangs, and keeps the old one', async () => {
    const { setTimeout: after } = nodeGlobal;
    const pool = newPool();
    void pool.start();
    const old = await forked(0);
    old.serve();
    // The limits of a start.
    jest.spyOn(nodeGlobal, 'setTimeout').mockImplementation((run) => after(run, 1));
    pool.restart();
    const hanging = await forked(1);
    await logged(/^a new worker does not serve after 60 s yet: the old ones continue/);
    await logged(/^a new worker does not serve after 15 min: killed/);
    expect(hanging.process.kill.mock.calls).toEqual([['SIGKILL']]);
    jest.restoreAllMocks();
    hanging.end(1);
    await logged(/^the restart failed; all workers continue: a new worker ended .+ exit code 1/);
    expect(old.told).toEqual([]);
    await stop(pool, old);
  });

  it('stops old and starting workers, too', async () => {
    const pool = newPool();
    void pool.start();
    const old = await forked(0);
    old.serve();
    pool.restart();
    const starting = await forked(1);
    const stopped = pool.stop(AT_ONCE);
    expect([old, starting].map(({ told }) => told.at(-1))).toEqual([
      { berth: 'stop', options: AT_ONCE },
      { berth: 'stop', options: AT_ONCE },
    ]);
    starting.end(1);
    old.end();
    await stopped;
    expect(forks).toHaveLength(2);
  });
});

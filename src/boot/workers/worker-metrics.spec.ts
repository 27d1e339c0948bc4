import { beforeEach, describe, expect, it } from '@jest/globals';
import type { MetricsSnapshot } from '../../observability/metrics/registry.js';
import { WorkerMetrics } from './worker-metrics.js';
import type { WorkerProcess } from './worker-process.js';

/** What `WorkerMetrics` sees of a worker. */
class FakeWorker {
  lastMetrics: MetricsSnapshot = [];
  isFrozen = false;
  readonly isServing = true;
  private requests = 0;

  serve(requests: number): void {
    this.requests += requests;
  }

  readonly measure = (): Promise<boolean> => {
    if (!this.isFrozen) this.tell();
    return Promise.resolve(!this.isFrozen);
  };

  tell(): void {
    const metric = { help: 'A test', aggregator: 'sum' as const };
    this.lastMetrics = [
      { ...metric, name: 'test_total', type: 'counter', values: [{ labels: {}, value: this.requests }] },
      { ...metric, name: 'test_busy', type: 'gauge', values: [{ labels: {}, value: 1 }] },
    ] as unknown as MetricsSnapshot;
  }
}

describe('WorkerMetrics', () => {
  const running = new Set<WorkerProcess>();
  const old = new Set<WorkerProcess>();
  let metrics: WorkerMetrics;

  beforeEach(() => {
    running.clear();
    old.clear();
    metrics = new WorkerMetrics(running, (worker) => old.has(worker));
  });

  function add(): FakeWorker {
    const worker = new FakeWorker();
    running.add(asProcess(worker));
    return worker;
  }
  const asProcess = (worker: FakeWorker) => worker as unknown as WorkerProcess;
  async function valueOf(name: string): Promise<number> {
    const line = (await metrics.text()).split('\n').find((each) => each.startsWith(`${name} `));
    return Number(line?.split(' ')[1]);
  }
  function end(worker: FakeWorker): void {
    running.delete(asProcess(worker));
    metrics.keep(asProcess(worker));
  }

  it('adds up counters and gauges of all workers', async () => {
    add().serve(3);
    add().serve(4);
    expect([await valueOf('test_total'), await valueOf('test_busy')]).toEqual([7, 2]);
  });

  it('keeps what a worker counted that ended in order, and not its gauges', async () => {
    const [first, second] = [add(), add()];
    first.serve(3);
    second.serve(4);
    await metrics.text();
    first.serve(10);
    first.tell();
    end(first);
    expect([await valueOf('test_total'), await valueOf('test_busy')]).toEqual([17, 1]);
  });

  it('never falls when workers are killed: what was scraped stays', async () => {
    for (let round = 1; round <= 3; round += 1) {
      const worker = add();
      worker.serve(5);
      expect(await valueOf('test_total')).toBe(5 * round);
      worker.serve(2);
      end(worker);
      expect(await valueOf('test_total')).toBe(5 * round);
    }
  });

  it('keeps the last values of a worker that does not respond, and says so', async () => {
    const [frozen, other] = [add(), add()];
    frozen.serve(3);
    old.add(asProcess(other));
    await metrics.text();
    frozen.isFrozen = true;
    frozen.serve(100);
    other.serve(1);
    expect(await valueOf('test_total')).toBe(4);
    expect(await valueOf('berth_workers{state="silent"}')).toBe(1);
    expect(await valueOf('berth_workers{state="old"}')).toBe(1);
    expect(await valueOf('berth_workers{state="serving"}')).toBe(0);
  });
});

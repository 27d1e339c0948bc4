import type { JobResult } from './jobs.js';

/** More requests than a job of a few seconds sends. Allocated before the measurement. */
const CAPACITY = 2_000_000;
const samples = new Float32Array(CAPACITY);

/** Measures one job: latencies, duration, and the generator's share of its core. */
export class Stopwatch {
  private count = 0;
  private readonly cpu = process.cpuUsage();
  private readonly begun = performance.now();
  bytes = 0;

  /** @param since when the request was sent, by `performance.now()`. */
  record(since: number): void {
    if (this.count === CAPACITY) throw new Error('too many requests for the buffer of latencies');
    samples[this.count] = performance.now() - since;
    this.count += 1;
  }

  passed(seconds: number | undefined): boolean {
    return seconds !== undefined && performance.now() - this.begun >= seconds * 1000;
  }

  result(pushed: Partial<Pick<JobResult, 'blobs' | 'images'>> = {}): JobResult {
    const elapsedMs = performance.now() - this.begun;
    const { user, system } = process.cpuUsage(this.cpu);
    return {
      seconds: elapsedMs / 1000,
      latenciesMs: samples.slice(0, this.count),
      bytes: this.bytes,
      generatorCpu: (user + system) / 1000 / elapsedMs,
      blobs: pushed.blobs ?? [],
      images: pushed.images ?? [],
    };
  }
}

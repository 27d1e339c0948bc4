import { setTimeout as delay } from 'node:timers/promises';
import type { ChaosAccess } from './chaos-access.js';
import { chaosRequest } from './client-request.js';
import type { FaultTimeline, Span } from './fault-timeline.js';
import type { ImageManifest } from './image-content.js';
import type { RunResults } from './run-results.js';
import type { Replica } from './replica.js';

export const OBSERVED_REPOSITORY = 'images/observed';
export const OBSERVED_TAG = 'v1';

const READINESS = '/health/ready';
const PULL_EVERY_MS = 100;
/** Less often, because the readiness check uses the storage. */
const READY_EVERY_MS = 1_000;
const IDLE_TIMEOUT_MS = 60_000;
/** Time to recover after a fault: broken connections are opened again. */
const GRACE_MS = 2_000;
/** A pull that takes longer is a failure. Berth promises less, but the machine may be busy. */
const MAX_STALL_MS = 5_000;

interface Sample extends Span {
  readonly what: string;
  readonly replica: number;
  readonly needs: readonly string[];
  readonly status: number | undefined;
  /** Whether the replica accepted requests before and after. */
  readonly wasUp: boolean;
}

/** Pulls an image that no other client changes from each replica directly, and checks its readiness. */
export class Observer {
  private readonly samples: Sample[] = [];

  constructor(
    private readonly replicas: readonly Replica[],
    private readonly image: ImageManifest,
    private readonly timeline: FaultTimeline,
    private readonly results: RunResults,
    private readonly access: ChaosAccess,
    private readonly proxyUrl: string,
  ) {}

  /** Observes until `isOver`. */
  async run(isOver: () => boolean): Promise<void> {
    const path = `/v2/${OBSERVED_REPOSITORY}`;
    const [blob = ''] = this.image.blobs;
    const observe = async (replica: Replica, everyMs: number, paths: Record<string, string[]>) => {
      while (!isOver()) {
        for (const [target, needs] of Object.entries(paths)) await this.send(replica, target, needs);
        await delay(everyMs);
      }
    };
    await Promise.all(
      this.replicas.flatMap((replica) => [
        observe(replica, PULL_EVERY_MS, { [`${path}/manifests/${OBSERVED_TAG}`]: ['postgres'] }),
        observe(replica, PULL_EVERY_MS, { [`${path}/blobs/${blob}`]: ['postgres', 'storage'] }),
        observe(replica, READY_EVERY_MS, { [READINESS]: ['postgres', 'storage'] }),
      ]),
    );
  }

  /** Reports requests that failed while everything that they need was healthy. */
  evaluate(): void {
    const healthy = this.samples.filter((sample) => this.shouldBeHealthy(sample));
    const counted = healthy.filter((sample) => !this.timeline.wasActive('machine', sample));
    this.evaluateReadiness(counted.filter(({ what }) => what === READINESS));
    const pulls = counted.filter(({ what }) => what !== READINESS);
    for (const { what, replica, status, from, to } of pulls) {
      const took = Math.round(to - from);
      const at = `at ${((from - this.results.startedAt) / 1000).toFixed(2)} s`;
      if (status !== 200) {
        const text = status ?? 'no response';
        this.results.wrong(
          `${what} of replica ${replica}, which was healthy: ${text} after ${took} ms, ${at}`,
        );
      } else if (took > MAX_STALL_MS) {
        this.results.wrong(`${what} of replica ${replica}, which was healthy, took ${took} ms, ${at}`);
      }
    }
    const frozen = pulls.filter((sample) => this.timeline.wasActive('frozen', sample));
    this.results.rows.push(
      ['longest stall of an unrelated pull', stall(pulls)],
      ['  … while another replica was frozen', stall(frozen)],
      ['unrelated pulls that failed', `${failed(pulls)}; not ready: ${failed(counted) - failed(pulls)}`],
      [
        'unrelated requests not counted',
        `${this.samples.length - healthy.length} in a fault, ` +
          `${healthy.length - counted.length} too slow to tell`,
      ],
    );
  }

  /** The check has a time limit, so it may fail briefly on a slow machine, but not for long. */
  private evaluateReadiness(samples: readonly Sample[]): void {
    for (const { index } of this.replicas) {
      let since: number | undefined;
      for (const { replica, status, from, to } of samples) {
        if (replica !== index) continue;
        since = status === 200 ? undefined : (since ?? from);
        if (since === undefined || to - since < MAX_STALL_MS) continue;
        this.results.wrong(
          `replica ${index}, which was healthy, was not ready for ${Math.round(to - since)} ms`,
        );
        since = undefined;
      }
    }
  }

  private async send(replica: Replica, path: string, needs: readonly string[]): Promise<void> {
    const { url, isUp } = replica;
    if (url === undefined || !isUp) return;
    const headers = await this.access.headers(this.proxyUrl, path);
    const from = performance.now();
    const options = { headers, idleTimeoutMs: IDLE_TIMEOUT_MS };
    const { status } = await chaosRequest('GET', new URL(path, url), options);
    const wasUp = replica.isUp && replica.url === url;
    const { index } = replica;
    this.samples.push({ what: path, replica: index, needs, status, wasUp, from, to: performance.now() });
  }

  private shouldBeHealthy(sample: Sample): boolean {
    const needed = [...sample.needs, `replica ${sample.replica}`];
    return sample.wasUp && !needed.some((what) => this.timeline.wasActive(what, sample, GRACE_MS));
  }
}

function failed(samples: readonly Sample[]): number {
  return samples.filter(({ status }) => status !== 200).length;
}

function stall(samples: readonly Sample[]): string {
  const sorted = samples.map(({ from, to }) => to - from).sort((a, b) => a - b);
  const at = (part: number) => Math.round(sorted[Math.floor((sorted.length - 1) * part)] ?? 0);
  return `${at(1)} ms (of ${sorted.length}; p99 ${at(0.99)} ms, median ${at(0.5)} ms)`;
}

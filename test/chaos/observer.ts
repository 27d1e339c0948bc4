import { setTimeout as delay } from 'node:timers/promises';
import { chaosRequest } from './client-request.js';
import type { Conditions, Span } from './conditions.js';
import type { ImageManifest } from './image-content.js';
import type { Ledger } from './ledger.js';
import type { Replica } from './replica.js';

export const OBSERVED_REPOSITORY = 'images/observed';
export const OBSERVED_TAG = 'v1';

const READINESS = '/health/ready';
const PULL_EVERY_MS = 100;
/** Readiness tries the storage, which is not to be kept busy by this. */
const READY_EVERY_MS = 1_000;
const PATIENCE_MS = 60_000;
/** After something is in order again, until it has to be seen: connections that were cut are made again. */
const GRACE_MS = 2_000;
/** A pull that stalls longer is a failure; what Berth promises is less, but the machine may be busy. */
const MOST_STALL_MS = 5_000;

interface Sample extends Span {
  readonly what: string;
  readonly replica: number;
  readonly needs: readonly string[];
  readonly status: number | undefined;
  /** Whether the replica accepted requests before and after. */
  readonly wasUp: boolean;
}

/** Pulls, from each replica directly, what nobody else touches; and asks whether it is ready. */
export class Observer {
  private readonly samples: Sample[] = [];

  constructor(
    private readonly replicas: readonly Replica[],
    private readonly image: ImageManifest,
    private readonly conditions: Conditions,
    private readonly ledger: Ledger,
  ) {}

  /** Goes on until `isOver`. */
  async run(isOver: () => boolean): Promise<void> {
    const path = `/v2/${OBSERVED_REPOSITORY}`;
    const [blob = ''] = this.image.blobs;
    const observe = async (replica: Replica, everyMs: number, paths: Record<string, string[]>) => {
      while (!isOver()) {
        for (const [target, needs] of Object.entries(paths)) await this.ask(replica, target, needs);
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

  /** Puts what it saw into the ledger: what went wrong while all that it needs was well. */
  judge(): void {
    const well = this.samples.filter((sample) => this.shouldBeWell(sample));
    const judged = well.filter((sample) => !this.conditions.wasTroubled('machine', sample));
    this.judgeReadiness(judged.filter(({ what }) => what === READINESS));
    const pulls = judged.filter(({ what }) => what !== READINESS);
    for (const { what, replica, status, from, to } of pulls) {
      const took = Math.round(to - from);
      const at = `at ${((from - this.ledger.startedAt) / 1000).toFixed(2)} s`;
      if (status !== 200) {
        const text = status ?? 'no answer';
        this.ledger.wrong(`${what} of replica ${replica}, which was well: ${text} after ${took} ms, ${at}`);
      } else if (took > MOST_STALL_MS) {
        this.ledger.wrong(`${what} of replica ${replica}, which was well, took ${took} ms, ${at}`);
      }
    }
    const frozen = pulls.filter((sample) => this.conditions.wasTroubled('frozen', sample));
    this.ledger.rows.push(
      ['longest stall of an unrelated pull', stall(pulls)],
      ['  … while another replica was frozen', stall(frozen)],
      ['unrelated pulls that failed', `${failed(pulls)}; not ready: ${failed(judged) - failed(pulls)}`],
      [
        'unrelated requests not judged',
        `${this.samples.length - well.length} in a fault, ${well.length - judged.length} too slow to tell`,
      ],
    );
  }

  /** It is bounded in time, so that it fails now and then on a slow machine. For long it must not. */
  private judgeReadiness(samples: readonly Sample[]): void {
    for (const { index } of this.replicas) {
      let since: number | undefined;
      for (const { replica, status, from, to } of samples) {
        if (replica !== index) continue;
        since = status === 200 ? undefined : (since ?? from);
        if (since === undefined || to - since < MOST_STALL_MS) continue;
        this.ledger.wrong(`replica ${index}, which was well, was not ready for ${Math.round(to - since)} ms`);
        since = undefined;
      }
    }
  }

  private async ask(replica: Replica, path: string, needs: readonly string[]): Promise<void> {
    const { url, isUp } = replica;
    if (url === undefined || !isUp) return;
    const from = performance.now();
    const { status } = await chaosRequest('GET', new URL(path, url), { patienceMs: PATIENCE_MS });
    const wasUp = replica.isUp && replica.url === url;
    const { index } = replica;
    this.samples.push({ what: path, replica: index, needs, status, wasUp, from, to: performance.now() });
  }

  private shouldBeWell(sample: Sample): boolean {
    const needed = [...sample.needs, `replica ${sample.replica}`];
    return sample.wasUp && !needed.some((what) => this.conditions.wasTroubled(what, sample, GRACE_MS));
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

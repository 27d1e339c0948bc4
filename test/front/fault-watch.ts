import { setTimeout as sleep } from 'node:timers/promises';
import type { SupervisedServer } from './supervised-server.js';

const MIB = 1024 * 1024;
const SAMPLE_MS = 100;
/** A replica that reads this much between two samples receives a layer. */
const BUSY_BYTES = MIB / 4;
/** A replica stays busy for as many samples: a front may send in pieces. */
const BUSY_SAMPLES = 3;

/** Sees which replica receives the layer, and which faults hit the transfer. */
export class FaultWatch {
  /** Whether the client has ended. */
  isOver = false;
  private injectedCount = 0;
  private hitCount = 0;
  private readonly busySamples = new Map<SupervisedServer, number>();

  /**
   * @param sentBytes what the client has sent
   * @param enoughBytes the first fault waits until the client has sent as much
   */
  constructor(
    private readonly replicas: readonly SupervisedServer[],
    private readonly sentBytes: () => number,
    private readonly enoughBytes: number,
  ) {}

  /** Samples until the push is over. */
  async run(): Promise<void> {
    const readBefore = new Map<SupervisedServer, number>();
    while (!this.isOver) {
      for (const replica of this.replicas) {
        const read = replica.bytesRead();
        const isBusy = read - (readBefore.get(replica) ?? read) >= BUSY_BYTES;
        readBefore.set(replica, read);
        this.busySamples.set(replica, isBusy ? BUSY_SAMPLES : this.samplesLeft(replica) - 1);
      }
      await sleep(SAMPLE_MS);
    }
  }

  /** Waits for a replica that receives the layer. Returns undefined if the push is over before. */
  async busyReplica(): Promise<SupervisedServer | undefined> {
    while (!this.isOver) {
      const [busiest] = this.replicas.toSorted((a, b) => this.samplesLeft(b) - this.samplesLeft(a));
      if (busiest && this.isBusy(busiest) && this.sentBytes() >= this.enoughBytes) return busiest;
      await sleep(SAMPLE_MS / 4);
    }
    return undefined;
  }

  /** Records a fault of a replica. Called just before. */
  injects(replica: SupervisedServer): void {
    this.injectedCount += 1;
    if (this.isBusy(replica)) this.hitCount += 1;
  }

  /** Waits, at most until the push is over. */
  async pause(milliseconds: number): Promise<void> {
    const end = performance.now() + milliseconds;
    while (!this.isOver && performance.now() < end) await sleep(SAMPLE_MS / 4);
  }

  get injected(): number {
    return this.injectedCount;
  }

  /** The faults of a replica that received the layer just then. */
  get hits(): number {
    return this.hitCount;
  }

  private isBusy(replica: SupervisedServer): boolean {
    return this.samplesLeft(replica) > 0;
  }

  private samplesLeft(replica: SupervisedServer): number {
    return this.busySamples.get(replica) ?? 0;
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import { SeededRandom } from '../cases/seeded-random.js';
import { SoakClient } from './http-client.js';
import { SoakOperations } from './operations.js';
import { imagePool, REPOSITORIES } from './pool.js';

const CLIENTS = 8;
/** Allowed statuses: success, not found (any more), or refused because the content is needed. */
const RIGHT = new Set([200, 201, 202, 204, 206, 404, 405]);
const NOT_NOW = new Set([429, 503, 507]);
const MAX_COMPLAINTS = 20;

/** The clients of a soak, and their results. */
export class SoakLoad {
  readonly operations = new Map<string, number>();
  readonly statuses = new Map<number, number>();
  /** The first wrong responses. */
  readonly complaints: string[] = [];
  wrongResponses = 0;
  private latenciesMs: number[] = [];
  private readonly client: SoakClient;
  private readonly images = imagePool();
  private isOver = false;

  constructor(
    port: number,
    private readonly rate: number,
  ) {
    this.client = new SoakClient(port, (method, path, status, ms) => this.received(method, path, status, ms));
  }

  /** Works until `stop`, at the given rate or, if the server is slower, at its rate. */
  async run(): Promise<void> {
    const first = new SoakOperations(this.client, this.images, new SeededRandom(0), this.complain);
    // Push all contents first, so that the stored content doesn't grow later.
    for (const repository of REPOSITORIES) {
      for (const image of this.images) await first.push(repository, image);
    }
    const periodMs = (CLIENTS / this.rate) * 1000;
    await Promise.all(Array.from({ length: CLIENTS }, (_, index) => this.work(index + 1, periodMs)));
  }

  stop(): void {
    this.isOver = true;
  }

  close(): void {
    this.client.close();
  }

  /** Sorted latencies since the last call. */
  takeLatenciesMs(): number[] {
    const taken = this.latenciesMs;
    this.latenciesMs = [];
    return taken.sort((a, b) => a - b);
  }

  private async work(seed: number, periodMs: number): Promise<void> {
    const operations = new SoakOperations(
      this.client,
      this.images,
      new SeededRandom(seed * 1_000_003),
      this.complain,
    );
    while (!this.isOver) {
      const begun = performance.now();
      const name = await operations.next();
      this.operations.set(name, (this.operations.get(name) ?? 0) + 1);
      await sleep(Math.max(0, periodMs - (performance.now() - begun)));
    }
  }

  private received(method: string, path: string, status: number, ms: number): void {
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
    this.latenciesMs.push(ms);
    if (!RIGHT.has(status) && !NOT_NOW.has(status))
      this.complain(`${method} ${path}: ${status || 'no response'}`);
  }

  private readonly complain = (text: string): void => {
    this.wrongResponses += 1;
    if (this.complaints.length < MAX_COMPLAINTS) this.complaints.push(text);
  };
}

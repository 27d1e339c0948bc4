import { setTimeout as delay } from 'node:timers/promises';
import type { Fault } from './fault-kinds.js';
import type { Faults } from './faults.js';
import type { Ledger } from './ledger.js';
import type { SeededRandom } from './seeded-random.js';
import type { MillisecondRange } from './settings.js';

/** How many faults last at the same time at most, and the pauses between two. */
export interface FaultPace {
  readonly atOnce: number;
  readonly pauseMs: MillisecondRange;
}

/**
 * Does one thing after the other to a cluster that is at work, several at once, in an order that the seed
 * decides.
 */
export class FaultInjector {
  private readonly lasting = new Set<Promise<void>>();
  private begun = 0;
  private isOver = false;

  constructor(
    private readonly faults: Faults,
    private readonly pace: FaultPace,
    private readonly ledger: Ledger,
    private readonly random: SeededRandom,
    /** The kinds to go through next. None: the rest of the uploads shall come to their end in peace. */
    private readonly wanted: () => readonly Fault[],
  ) {}

  /**
   * Goes on until `finish`, through the kinds that are wanted again and again, each time in another order.
   */
  async run(): Promise<void> {
    const { atOnce, pauseMs } = this.pace;
    while (!this.finished()) {
      for (const fault of this.random.shuffled(this.wanted())) {
        await delay(this.random.int(pauseMs.least, pauseMs.most));
        if (this.lasting.size >= atOnce) await Promise.race(this.lasting);
        if (this.finished()) break;
        this.begin(fault);
      }
    }
    await Promise.all(this.lasting);
  }

  /** No further fault; `run` settles when the last one is healed. */
  finish(): void {
    this.isOver = true;
  }

  private finished(): boolean {
    return this.isOver || this.wanted().length === 0;
  }

  private begin(fault: Fault): void {
    this.begun += 1;
    const lasting = this.faults
      .inject(fault, this.random.fork(`fault ${this.begun}`))
      .catch((error: unknown) => this.ledger.problem(`${fault}: ${String(error)}`))
      .finally(() => this.lasting.delete(lasting));
    this.lasting.add(lasting);
  }
}

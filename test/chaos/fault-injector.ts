import { setTimeout as delay } from 'node:timers/promises';
import type { Fault } from './fault-kinds.js';
import type { Faults } from './faults.js';
import type { RunResults } from './run-results.js';
import type { SeededRandom } from './seeded-random.js';
import type { MillisecondRange } from './settings.js';

/** Maximum number of faults at the same time, and the pauses between two. */
export interface FaultPace {
  readonly atOnce: number;
  readonly pauseMs: MillisecondRange;
}

/** Injects faults into a cluster under load, several at once. The seed decides their order. */
export class FaultInjector {
  private readonly lasting = new Set<Promise<void>>();
  private begun = 0;
  private isOver = false;

  constructor(
    private readonly faults: Faults,
    private readonly pace: FaultPace,
    private readonly results: RunResults,
    private readonly random: SeededRandom,
    /** The kinds to inject next. None: the other uploads end without faults. */
    private readonly wanted: () => readonly Fault[],
  ) {}

  /** Until `finish`, injects each of the kinds, again and again, each time in another order. */
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

  /** Injects no other fault. `run` resolves when the last one has ended. */
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
      .catch((error: unknown) => this.results.problem(`${fault}: ${String(error)}`))
      .finally(() => this.lasting.delete(lasting));
    this.lasting.add(lasting);
  }
}

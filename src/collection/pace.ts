/** Shorter work needs no pause of its own, and its cursor need not be saved. */
const MAX_WORK_MS = 50;

/** Tells a stage with many short batches when to yield: `if (pace.isOver()) { yield; pace.restart(); }`. */
export class Pace {
  private startedAt = performance.now();

  isOver(): boolean {
    return performance.now() - this.startedAt >= MAX_WORK_MS;
  }

  restart(): void {
    this.startedAt = performance.now();
  }
}

const PAUSE_MS = 1_000;

/** A busy worker may reply late. One that leaves so many questions in a row without a reply is frozen. */
const MAX_UNANSWERED = 10;

/**
 * Asks a worker every second whether it responds. Questions are counted, and not seconds: if this process, or
 * the machine, is frozen, none is asked meanwhile.
 */
export class WorkerWatch {
  private unanswered = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly ask: () => void,
    private readonly onFrozen: (unanswered: number) => void,
  ) {}

  begin(): void {
    this.timer ??= setInterval(() => this.look(), PAUSE_MS).unref();
  }

  /** The worker has replied. */
  replied(): void {
    this.unanswered = 0;
  }

  end(): void {
    clearInterval(this.timer);
  }

  private look(): void {
    if (this.unanswered < MAX_UNANSWERED) {
      this.unanswered += 1;
      return this.ask();
    }
    this.end();
    this.onFrozen(this.unanswered);
  }
}

/** One thing that readiness depends on: settles when it works now, rejects otherwise. */
export type Probe = () => Promise<unknown>;

/**
 * Answers within `timeoutMs` whether a probe succeeds. A probe that hangs is not started again beside itself:
 * however often readiness is asked, each dependency sees one probe at a time.
 */
export class BoundedProbe {
  private running: Promise<unknown> | undefined;

  constructor(
    private readonly probe: Probe,
    private readonly timeoutMs: number,
  ) {}

  /** Nothing when it works, else the reason why not. Never rejects. */
  async failure(): Promise<Error | undefined> {
    this.running ??= this.probe().finally(() => (this.running = undefined));
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${this.timeoutMs} ms`)), this.timeoutMs);
    });
    try {
      await Promise.race([this.running, late]);
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    } finally {
      clearTimeout(timer);
    }
  }
}

import { settlesWithin } from '../common/settles-within.js';

/** Checks one dependency: resolves if it works now, rejects otherwise. */
export type Probe<T> = () => Promise<T>;

/** What a probe found, or why it failed. */
export type Outcome<T> = { readonly found: T } | { readonly failure: Error };

/**
 * Runs a probe with a timeout. Only one probe runs at a time, also after a timeout, however often readiness
 * is requested.
 */
export class BoundedProbe<T> {
  private running: Promise<T> | undefined;

  constructor(
    private readonly probe: Probe<T>,
    private readonly timeoutMs: number,
  ) {}

  /** Never rejects. Takes at most the timeout. */
  async outcome(): Promise<Outcome<T>> {
    this.running ??= this.probe().finally(() => (this.running = undefined));
    const { running } = this;
    try {
      if (await settlesWithin(running, this.timeoutMs)) return { found: await running };
      return { failure: new Error(`no result within ${this.timeoutMs} ms`) };
    } catch (error) {
      return { failure: error instanceof Error ? error : new Error(String(error)) };
    }
  }
}

import { settlesWithin } from '../common/settles-within.js';

/** Checks one dependency: resolves if it works now, rejects otherwise. */
export type Probe = () => Promise<unknown>;

/**
 * Runs a probe with a timeout. Only one probe runs at a time, also after a timeout, however often readiness
 * is requested.
 */
export class BoundedProbe {
  private running: Promise<unknown> | undefined;

  constructor(
    private readonly probe: Probe,
    private readonly timeoutMs: number,
  ) {}

  /** Returns undefined if the probe succeeds, else the error. Never rejects. */
  async failure(): Promise<Error | undefined> {
    this.running ??= this.probe().finally(() => (this.running = undefined));
    try {
      if (await settlesWithin(this.running, this.timeoutMs)) return undefined;
      return new Error(`no result within ${this.timeoutMs} ms`);
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }
}

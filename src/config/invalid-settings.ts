import { StartupError } from '../common/startup.error.js';

/** Collects what is wrong with the settings, so that one message says all of it. */
export class InvalidSettings {
  private readonly names = new Set<string>();
  private readonly problems: string[] = [];

  /**
   * Adds a problem of one or more settings. It is left out if one of them already has another problem, which
   * most likely causes this one.
   *
   * @param problem without a full stop at its end.
   */
  add(names: readonly string[], problem: string): void {
    if (names.some((name) => this.names.has(name))) return;
    for (const name of names) this.names.add(name);
    this.problems.push(problem);
  }

  /** @throws StartupError if there are problems. */
  refuse(): void {
    if (this.problems.length === 0) return;
    throw new StartupError(`The configuration is invalid: ${this.problems.join('; ')}.`);
  }
}

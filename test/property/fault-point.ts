import type { Around } from './interposed.js';

/** The name of the error of a call that was made to fail. */
export const INJECTED = 'InjectedError';

class InjectedError extends Error {
  override readonly name = INJECTED;
}

interface Armed {
  readonly call: string;
  readonly when: 'before' | 'after';
  readonly effect: 'throws' | 'hangs';
  readonly reached: () => void;
}

/** Makes one call of a replica fail or hang, before or after its effect. */
export class FaultPoint {
  private armed: Armed | undefined;
  private abort: () => void = () => undefined;
  private readonly aborted = new Promise<void>((resolve) => (this.abort = resolve));

  /** The next call of that name. Settles when it is reached. */
  arm(call: string, when: Armed['when'], effect: Armed['effect']): Promise<void> {
    return new Promise((reached) => {
      this.armed = { call, when, effect, reached };
    });
  }

  /** Takes back what was armed and not reached. */
  disarm(): void {
    this.armed = undefined;
  }

  /** Calls that hang fail now. */
  release(): void {
    this.abort();
  }

  readonly around: Around = async (call, work) => {
    const { armed } = this;
    if (armed?.call !== call) return work();
    this.armed = undefined;
    if (armed.when === 'after') await work();
    armed.reached();
    if (armed.effect === 'hangs') await this.aborted;
    throw new InjectedError(`${call} was made to fail`);
  };
}

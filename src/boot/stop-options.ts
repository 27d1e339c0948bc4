/** How a process stops to serve. */
export interface StopOptions {
  /** How long requests may continue whose clients send or take data. */
  readonly graceSeconds: number;
  /**
   * Whether another process accepts the connections of the same address. Then open connections stay for the
   * next request of their clients, which are told that they close. Otherwise they close when they are idle,
   * which may meet a request that a client is just sending.
   */
  readonly isHandover: boolean;
}

export const AT_ONCE: StopOptions = { graceSeconds: 0, isHandover: false };

/** A terminal's Ctrl-C: a person waits for the end. */
const SHORT_GRACE_SECONDS = 5;

/** For SIGTERM, which supervisors send. */
export function fullGrace({ graceSeconds }: { readonly graceSeconds: number }): StopOptions {
  return { graceSeconds, isHandover: false };
}

/** For Ctrl-C, and a terminal that is closed. */
export function shortGrace({ graceSeconds }: { readonly graceSeconds: number }): StopOptions {
  return { graceSeconds: Math.min(SHORT_GRACE_SECONDS, graceSeconds), isHandover: false };
}

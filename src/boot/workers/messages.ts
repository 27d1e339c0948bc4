import type { WorkInProgress } from '../work-in-progress.js';

/** Messages of a worker to its primary. They contain no secrets. */
export type WorkerMessage =
  /** The holder's name in its leases. Sent before it takes the first lease. */
  | { readonly berth: 'holder'; readonly name: string }
  /** The worker listens. */
  | { readonly berth: 'serving'; readonly url: string }
  /** What its stop would wait for, as the primary asked. */
  | { readonly berth: 'work'; readonly work: WorkInProgress }
  /** The worker can't start; the message of its `StartupError`. */
  | { readonly berth: 'failed'; readonly reason: string };

/** Messages of the primary to a worker. */
export type PrimaryMessage =
  /** Stop. Not a signal, because a second signal ends a worker at once. */
  | { readonly berth: 'stop' }
  /** Say what a stop would wait for. */
  | { readonly berth: 'work?' };

/** Whether a message is one of the above: Node and libraries use the channel, too. */
export function isOurs(message: unknown): message is WorkerMessage | PrimaryMessage {
  return typeof message === 'object' && message !== null && 'berth' in message;
}

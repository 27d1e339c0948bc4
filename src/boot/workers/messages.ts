/** Messages of a worker to its primary. They contain no secrets. */
export type WorkerMessage =
  /** The holder's name in its leases. Sent before it takes the first lease. */
  | { readonly berth: 'holder'; readonly name: string }
  /** The worker listens. */
  | { readonly berth: 'serving'; readonly url: string }
  /** The worker can't start; the message of its `StartupError`. */
  | { readonly berth: 'failed'; readonly reason: string };

/** The primary asks a worker to stop. It sends no signal, because a second signal ends a worker at once. */
export interface StopMessage {
  readonly berth: 'stop';
}

/** Whether a message is one of the above: Node and libraries use the channel, too. */
export function isOurs(message: unknown): message is WorkerMessage | StopMessage {
  return typeof message === 'object' && message !== null && 'berth' in message;
}

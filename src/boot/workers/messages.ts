/** What a worker tells its primary. Nothing in it is secret, and nothing is needed to find the database. */
export type WorkerMessage =
  /** The name that its leases will carry; before it takes the first one. */
  | { readonly berth: 'holder'; readonly name: string }
  /** It listens. */
  | { readonly berth: 'serving'; readonly url: string }
  /** It can't start; the sentence of its `StartupError`. */
  | { readonly berth: 'failed'; readonly sentence: string };

/** What a primary tells its workers: stop in order. A signal of its own could be taken for an operator's impatience. */
export interface StopMessage {
  readonly berth: 'stop';
}

/** Whether a message that arrived on the channel, which Node and libraries use too, is one of ours. */
export function isOurs(message: unknown): message is WorkerMessage | StopMessage {
  return typeof message === 'object' && message !== null && 'berth' in message;
}

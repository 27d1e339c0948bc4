/** A replica did not answer a request: it can't be reached, has ended, or does not respond. */
export class ReplicaFailure extends Error {
  /**
   * @param wasSent whether the replica may have got the request, and may have done what it asks for.
   */
  constructor(
    replica: string,
    readonly wasSent: boolean,
    cause: unknown,
  ) {
    super(`replica ${replica}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = 'ReplicaFailure';
  }
}

/** No replica answered for `FRONT_RETRY_SECONDS`. */
export class NoReplicaError extends Error {
  constructor(seconds: number, options?: ErrorOptions) {
    super(`no replica answered for ${seconds} s`, options);
    this.name = 'NoReplicaError';
  }
}

/** The client disconnected, so nothing waits for the answer. */
export class ClientGoneError extends Error {
  constructor() {
    super('the client has disconnected');
    this.name = 'ClientGoneError';
  }
}

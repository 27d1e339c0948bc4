import type { RequestKey } from './request-key.js';

/**
 * A statement that calls a function of the schema, which has a variant for requests with an `Idempotency-Key`
 * (migration `IdempotentRequests`): `delete_tag_once` does what `delete_tag` does, once per key.
 */
export class CallOnce {
  private readonly sqlOnce: string;

  /** @param parameters how many the statement has. The key is the next one. */
  constructor(
    private readonly sql: string,
    functionName: string,
    parameters: number,
  ) {
    this.sqlOnce = sql.replace(`${functionName}(`, `${functionName}_once($${parameters + 1}, `);
  }

  /** The statement and its parameters. Without a key, the request has no row and costs nothing more. */
  with(parameters: unknown[], key: RequestKey | undefined): [sql: string, parameters: unknown[]] {
    return key === undefined ? [this.sql, parameters] : [this.sqlOnce, [...parameters, key]];
  }
}

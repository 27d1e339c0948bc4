/** No server of `DATABASE_URL` takes writes: a failover is in progress. Later one will. */
export class NoWritableServerError extends Error {}

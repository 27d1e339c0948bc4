/** A read gave up before a query had begun for it: Postgres answers too slowly, or not at all, for what is asked of it. */
export class NoQueryInTimeError extends Error {}

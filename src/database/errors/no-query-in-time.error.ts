/** A read failed before its query started: the database is overloaded or does not respond. */
export class NoQueryInTimeError extends Error {}

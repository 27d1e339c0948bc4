/** Runs `work`, which needs no I/O, for a method that returns a promise: errors become rejections. */
export function attempt<T>(work: () => T): Promise<T> {
  return new Promise((resolve) => resolve(work()));
}

/** The message of an error, on one line and without its full stop. */
export function oneLine(error: unknown): string {
  // For a host with several addresses, Node throws an AggregateError without a message.
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  const message = first instanceof Error && first.message !== '' ? first.message : 'unknown error';
  return (message.split('\n', 1)[0] ?? message).replace(/\.$/, '');
}

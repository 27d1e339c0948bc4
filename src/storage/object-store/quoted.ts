const MAX_CHARACTERS = 300;

/**
 * Makes one line of the text of a response, for a message, and shortens it: a gateway may respond with a
 * page.
 */
export function quoted(text: string): string {
  const line = text.replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, ' ').trim();
  return line.length > MAX_CHARACTERS ? `${line.slice(0, MAX_CHARACTERS)}…` : line;
}

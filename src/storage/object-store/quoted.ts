const MOST_CHARACTERS = 300;

/** What a store, or a proxy before it, has said, for a message: one line, and not the whole page of a gateway. */
export function quoted(text: string): string {
  const line = text.replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, ' ').trim();
  return line.length > MOST_CHARACTERS ? `${line.slice(0, MOST_CHARACTERS)}…` : line;
}

/**
 * Whether Postgres can hold the text as it is: its text and jsonb have no NUL, and half a surrogate pair has
 * no UTF-8. Texts of a client that are indexed or compared there must pass, or a bad request would become a
 * failed query.
 */
export function isStorableText(text: string): boolean {
  return !text.includes('\0') && !/\p{Surrogate}/u.test(text);
}

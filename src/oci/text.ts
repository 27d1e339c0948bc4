/**
 * Whether Postgres can store the text: its `text` and `jsonb` have no NUL, and half a surrogate pair has no
 * UTF-8 form. Check texts of clients before queries use them, or a bad request would become a failed query.
 */
export function isStorableText(text: string): boolean {
  return !text.includes('\0') && !/\p{Surrogate}/u.test(text);
}

/**
 * Text of a client for the log: at most `maxLength` characters, and everything except printable ASCII as
 * `\uXXXX`. So it can't add lines to the log, or control the terminal that shows it.
 */
export function printable(text: string, maxLength: number): string {
  const start = text.length > maxLength ? `${text.slice(0, maxLength)}...` : text;
  return /[^\x20-\x7e]/.test(start) ? start.replace(/[^\x20-\x7e]/g, escapeUnit) : start;
}

/** The escape of one UTF-16 unit, as in JSON. */
export function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

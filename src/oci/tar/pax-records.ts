import { TarInvalidError } from './tar.errors.js';

/** Far more than a file has. All of them are looked at in one step, and sorted. */
export const MAX_RECORDS = 1024;

/** Records by key; the last one of a key counts. One character per byte. */
export type PaxRecords = ReadonlyMap<string, string>;

/**
 * Parses the body of a PAX header: records `<length> <key>=<value>\n`, where the decimal length counts the
 * whole record (POSIX.1-2001, pax). Pauses after each record.
 *
 * @throws TarInvalidError
 */
export function* parsePaxRecords(bytes: Buffer): Generator<void, PaxRecords> {
  const text = bytes.toString('latin1');
  const records = new Map<string, string>();
  let start = 0;
  while (start < text.length) {
    const space = text.indexOf(' ', start);
    const end = start + lengthOf(text.slice(start, Math.max(space, start)));
    const equals = text.indexOf('=', space);
    if (end > text.length || text[end - 1] !== '\n' || equals === -1 || equals >= end - 1) throw malformed();
    if (records.size === MAX_RECORDS)
      throw new TarInvalidError(`a PAX header has more than ${MAX_RECORDS} records`);
    records.set(text.slice(space + 1, equals), text.slice(equals + 1, end - 1));
    start = end;
    yield;
  }
  return records;
}

/** Short enough that no number is too large. */
function lengthOf(text: string): number {
  if (!/^[0-9]{1,12}$/.test(text)) throw malformed();
  return Number(text);
}

function malformed(): TarInvalidError {
  return new TarInvalidError('a PAX header is malformed');
}

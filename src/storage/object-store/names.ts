import { OWN_NAMES } from '../identity-object.js';
import { type ObjectKey, parseKeySegment, parseObjectKey } from '../object-key.js';
import { isSuffix } from './upload-layout.js';

/** Below it lies what isn't an object of the registry. */
const UPLOADS = 'uploads/';
export const OBJECTS = 'blobs/';

/**
 * `blobs/<2 characters>/<upload id>`: where the bytes of an upload are from the first part on, and stay. The digest
 * isn't known then; the id is never used twice, and its first characters spread the keys.
 *
 * @throws InvalidObjectKeyError when the id can't be part of a key.
 */
export function objectKeyOf(id: string): ObjectKey {
  return parseObjectKey(`${OBJECTS}${parseKeySegment(id).slice(0, 2).padEnd(2, '_')}/${id}`);
}

/** The id of the upload whose object this is. */
export function idOfObject(name: string): string | undefined {
  const id = name.slice(name.lastIndexOf('/') + 1);
  return isId(id) && objectKeyOf(id) === name ? id : undefined;
}

/** `uploads/<upload id>~<16 hex>` */
export function pieceName(id: string, suffix: string): string {
  return `${UPLOADS}${id}~${suffix}`;
}

export const PIECES = UPLOADS;

export function parsePieceName(name: string): { id: string; suffix: string } | undefined {
  const [id = '', suffix, ...more] = name.slice(UPLOADS.length).split('~');
  const isPiece = name.startsWith(UPLOADS) && more.length === 0 && isSuffix(suffix) && isId(id);
  return isPiece ? { id, suffix } : undefined;
}

/** Not an object of the registry, whoever asks. */
export function isReserved(name: string): boolean {
  return name.startsWith(UPLOADS) || name.startsWith(OWN_NAMES);
}

function isId(text: string): boolean {
  try {
    parseKeySegment(text);
    return true;
  } catch {
    return false;
  }
}

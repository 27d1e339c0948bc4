import { randomBytes } from 'node:crypto';
import { OWN_NAMES } from '../own-object.js';
import { type ObjectKey, parseKeySegment, parseObjectKey } from '../object-key.js';

/**
 * Prefix of pieces, and of parts where a store keeps parts as objects. None of them is an object of the
 * registry.
 */
export const PIECES = 'uploads/';
/** Prefix of the objects of the registry. */
export const OBJECTS = 'blobs/';

const SUFFIX = /^[0-9a-f]{16}$/;

/**
 * `blobs/<2 characters>/<upload id>`: the object of an upload. It is named before the digest is known. The id
 * is never reused, and its first characters spread the keys.
 *
 * @throws InvalidObjectKeyError if the id can't be part of a key.
 */
export function objectKeyOf(id: string): ObjectKey {
  return parseObjectKey(`${OBJECTS}${parseKeySegment(id).slice(0, 2).padEnd(2, '_')}/${id}`);
}

/** Returns the id of the upload whose object has this name. */
export function idOfObject(name: string): string | undefined {
  const id = name.slice(name.lastIndexOf('/') + 1);
  return isId(id) && objectKeyOf(id) === name ? id : undefined;
}

/** `uploads/<upload id>~<16 hex>` */
export function pieceName(id: string, suffix: string): string {
  return `${PIECES}${id}~${suffix}`;
}

export function parsePieceName(name: string): { id: string; suffix: string } | undefined {
  const [id = '', suffix, ...more] = name.slice(PIECES.length).split('~');
  const isPiece = name.startsWith(PIECES) && more.length === 0 && isSuffix(suffix) && isId(id);
  return isPiece ? { id, suffix } : undefined;
}

/** Random, so that no two writers use the same name. */
export function newSuffix(): string {
  return randomBytes(8).toString('hex');
}

export function isSuffix(text: unknown): text is string {
  return typeof text === 'string' && SUFFIX.test(text);
}

/** Returns whether the name can't belong to an object of the registry. */
export function isReserved(name: string): boolean {
  return name.startsWith(PIECES) || name.startsWith(OWN_NAMES);
}

function isId(text: string): boolean {
  try {
    parseKeySegment(text);
    return true;
  } catch {
    return false;
  }
}

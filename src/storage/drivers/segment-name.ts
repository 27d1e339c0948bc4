import { randomBytes } from 'node:crypto';
import { MAX_KEY_SEGMENT_LENGTH } from '../object-key.js';

/** Ids contain no `~`, so no id can be mistaken for another id's segment. */
const SEGMENT_NAME = /^(?<id>[A-Za-z0-9._-]+)(?:~[0-9a-f]{16})?$/;

/** Returns a unique name for a later segment of an upload. The name of the first segment is the id. */
export function newSegmentName(id: string): string {
  return `${id}~${randomBytes(8).toString('hex')}`;
}

/** Returns the id of the upload that a segment belongs to, or undefined if `name` is not a segment's name. */
export function segmentOwner(name: string): string | undefined {
  const id = SEGMENT_NAME.exec(name)?.groups?.['id'];
  return id !== undefined && id.length <= MAX_KEY_SEGMENT_LENGTH ? id : undefined;
}

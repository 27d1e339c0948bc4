import { randomBytes } from 'node:crypto';
import { MAX_KEY_SEGMENT_LENGTH } from '../object-key.js';

/** No id has a `~`, so that no id looks like another one's segment. */
const SEGMENT_NAME = /^(?<id>[A-Za-z0-9._-]+)(?:~[0-9a-f]{16})?$/;

/** A name that no other segment has, for a segment of this upload behind its first, whose name is the id. */
export function newSegmentName(id: string): string {
  return `${id}~${randomBytes(8).toString('hex')}`;
}

/** The id of the upload that a segment of this name is of; nothing when it is no segment's name. */
export function segmentOwner(name: string): string | undefined {
  const id = SEGMENT_NAME.exec(name)?.groups?.['id'];
  return id !== undefined && id.length <= MAX_KEY_SEGMENT_LENGTH ? id : undefined;
}

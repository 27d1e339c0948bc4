import { CANONICAL_ALGORITHM } from '../../oci/digest.js';
import { BlobUploadInvalidError, SizeInvalidError } from '../../oci/errors.js';
import type { UploadBody } from '../../transfer/read-body.js';
import type { Midstate } from '../hash/hasher.js';
import { initialMidstate } from '../hash/midstate.js';
import { UploadOffsetError } from '../upload.errors.js';
import type { UploadSession } from './upload-session.js';

/**
 * Returns the state of the canonical hash where a body begins, decided by its headers, before a byte is read:
 *
 *     Content-Range            must start at the session's offset
 *     Upload-Offset            must be the session's offset
 *     Location with an offset  the session's offset; or an earlier one, if the body may be a repeated one:
 *                              0, or where the last body began. `RepeatedBytes` checks that it is
 *     none of them             the session's offset
 *
 * @throws UploadOffsetError if the body must begin elsewhere; SizeInvalidError or BlobUploadInvalidError if
 *   the headers contradict each other.
 */
export function bodyStartOf(session: UploadSession, body: UploadBody): Midstate {
  expectStatedStart(session, body);
  const { range, lengthBytes, statedOffset, locationOffset } = body;
  const isStated = range !== undefined || statedOffset !== undefined;
  if (isStated || locationOffset === undefined || locationOffset === session.offsetBytes) {
    return canonicalMidstate(session);
  }
  const start = locationOffset === 0 ? initialMidstate(CANONICAL_ALGORITHM) : session.bodyStart;
  const repeatedBytes = session.offsetBytes - locationOffset;
  // A body that ends before the session's bytes do can't be compared: there is no hash state for its end.
  const isTooShort = lengthBytes !== undefined && lengthBytes > 0 && lengthBytes < repeatedBytes;
  const refusal = (why: string) => UploadOffsetError.atLocation(session, locationOffset, why);
  if (repeatedBytes < 0) throw refusal('beyond the stored bytes');
  if (start?.lengthBytes !== locationOffset) throw refusal('where the last body did not start');
  if (isTooShort) throw refusal('and this one ends before the stored bytes do');
  return start;
}

/** A start that a header states must be the session's offset: nothing is compared. */
function expectStatedStart(session: UploadSession, { range, lengthBytes, statedOffset }: UploadBody): void {
  const isAgreed = range === undefined || statedOffset === undefined || range.start === statedOffset;
  if (!isAgreed) throw new BlobUploadInvalidError('Upload-Offset and Content-Range say different offsets');
  if (statedOffset !== undefined && statedOffset !== session.offsetBytes) {
    throw UploadOffsetError.stated(session, statedOffset);
  }
  if (range === undefined) return;
  if (range.start !== session.offsetBytes) {
    throw new UploadOffsetError(session, `the Content-Range starts at byte ${range.start}`);
  }
  if (lengthBytes !== undefined && lengthBytes !== range.end - range.start + 1) {
    throw new SizeInvalidError('Content-Length and Content-Range say different lengths');
  }
}

/** The state of the canonical hash after all of the session's bytes. */
export function canonicalMidstate({ midstates }: Pick<UploadSession, 'midstates'>): Midstate {
  const canonical = midstates.find(({ algorithm }) => algorithm === CANONICAL_ALGORITHM);
  if (canonical === undefined) throw new Error(`the session lacks its ${CANONICAL_ALGORITHM} midstate`);
  return canonical;
}

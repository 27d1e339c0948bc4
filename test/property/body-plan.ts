import fc from 'fast-check';
import type { UploadBody } from '../../src/transfer/read-body.js';
import { FedBody } from './fed-body.js';
import type { Outcome } from './session-model.js';

/** A body as a client sends it. */
export interface BodyPlan {
  readonly chunks: readonly Buffer[];
  /** `Content-Range`: of the body, or wrong in one way. */
  readonly range: 'none' | 'right' | 'elsewhere' | 'longer' | 'shorter';
  /** `Content-Length`. */
  readonly length: 'none' | 'right' | 'wrong';
  readonly ending: 'whole' | 'breaks off';
}

/** Few contents, so that uploads of the same come about. */
const chunk = fc
  .tuple(fc.constantFrom(0, 1, 10, 63, 64, 150), fc.constantFrom('a', 'b'))
  .map(([size, letter]) => Buffer.alloc(size, letter));
const chunks = fc.array(chunk, { maxLength: 4 });

export const bodyPlan = {
  chunk,
  chunks,
  body: fc.record<BodyPlan>({
    chunks,
    range: fc.constantFrom('none', 'none', 'right', 'right', 'elsewhere', 'longer', 'shorter'),
    length: fc.constantFrom('none', 'right', 'right', 'wrong'),
    ending: fc.constantFrom('whole', 'whole', 'whole', 'breaks off'),
  }),
};

/** The request for it, on a session with that many bytes; how it ends is still to be fed. */
export function requestOf(
  { chunks, range, length }: BodyPlan,
  offset: number,
): { fed: FedBody; body: UploadBody } {
  const total = Buffer.concat(chunks).length;
  const start = range === 'elsewhere' ? offset + 1 : offset;
  const end = start + total - 1 + (range === 'longer' ? 1 : range === 'shorter' ? -1 : 0);
  const lengthBytes = length === 'none' ? undefined : total + (length === 'wrong' ? 1 : 0);
  const fed = new FedBody();
  fed.feed(...chunks);
  // A range has a byte at least.
  return { fed, body: fed.as(range === 'none' || end < start ? undefined : { start, end }, lengthBytes) };
}

export function endingOf({ ending }: BodyPlan): 'end' | Error {
  return ending === 'whole' ? 'end' : new Error('the client is gone');
}

/** What an open session keeps of it, and what the client is told, unless all is well. */
export function effectOf(
  { chunks, ending }: BodyPlan,
  { range, lengthBytes }: UploadBody,
  offset: number,
): { readonly kept: Buffer; readonly failure: Outcome | undefined } {
  const bytes = Buffer.concat(chunks);
  const nothing = Buffer.of();
  const broken = ending === 'breaks off' ? 'BodyBrokenError' : undefined;
  if (range === undefined) return { kept: bytes, failure: broken };
  if (range.start !== offset) return { kept: nothing, failure: 'UploadOffsetError' };
  const length = range.end - range.start + 1;
  if (lengthBytes !== undefined && lengthBytes !== length)
    return { kept: nothing, failure: 'SizeInvalidError' };
  if (bytes.length > length) return { kept: bytes.subarray(0, length), failure: 'SizeInvalidError' };
  return { kept: bytes, failure: broken ?? (bytes.length < length ? 'SizeInvalidError' : undefined) };
}

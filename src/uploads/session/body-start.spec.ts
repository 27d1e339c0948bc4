import { describe, expect, it } from '@jest/globals';
import { parseRepositoryName } from '../../oci/repository-name.js';
import { newUploadId } from '../../oci/upload-id.js';
import type { UploadBody } from '../../transfer/read-body.js';
import type { Midstate } from '../hash/hasher.js';
import { bodyStartOf } from './body-start.js';
import type { UploadSession } from './upload-session.js';

/** Only the length matters here. */
const midstate = (lengthBytes: number, algorithm: Midstate['algorithm'] = 'sha256'): Midstate => ({
  algorithm,
  words: '',
  lengthBytes,
  partialBlock: '',
});

/** 100 bytes, of which the last body had 40. */
const SESSION: UploadSession = {
  id: newUploadId(),
  repository: parseRepositoryName('a/b'),
  state: 'open',
  offsetBytes: 100,
  midstates: [midstate(100, 'sha512'), midstate(100)],
  driverState: {},
  version: 1,
  leaseHolder: null,
  digest: null,
  blobId: null,
  bodyStart: midstate(60),
};

type Headers = Omit<Partial<UploadBody>, 'source'>;

describe('where a body begins', () => {
  const startOf = (headers: Headers, session = SESSION) => {
    const body = { source: { [Symbol.asyncIterator]: () => ({ next: never }) }, ...NO_HEADERS, ...headers };
    try {
      const { algorithm, lengthBytes } = bodyStartOf(session, body);
      return algorithm === 'sha256' ? lengthBytes : algorithm;
    } catch (error) {
      return error instanceof Error ? error.name : error;
    }
  };

  it.each<[what: string, headers: Headers, start: number | string]>([
    ['the bare path', {}, 100],
    ['the last Location', { locationOffset: 100 }, 100],
    ['the Location of the last body', { locationOffset: 60, lengthBytes: 40 }, 60],
    ['… with more bytes', { locationOffset: 60, lengthBytes: 41 }, 60],
    ['… with fewer bytes', { locationOffset: 60, lengthBytes: 39 }, 'UploadOffsetError'],
    ['… without bytes', { locationOffset: 60, lengthBytes: 0 }, 60],
    ['… without a length', { locationOffset: 60 }, 60],
    ['the first Location', { locationOffset: 0, lengthBytes: 100 }, 0],
    ['… with fewer bytes', { locationOffset: 0, lengthBytes: 99 }, 'UploadOffsetError'],
    ['another Location before the offset', { locationOffset: 50 }, 'UploadOffsetError'],
    ['a Location beyond the offset', { locationOffset: 101 }, 'UploadOffsetError'],
    ['a range at the offset', { range: { start: 100, end: 109 } }, 100],
    ['… at an old Location', { range: { start: 100, end: 109 }, locationOffset: 0 }, 100],
    ['a range elsewhere', { range: { start: 60, end: 109 } }, 'UploadOffsetError'],
    ['… at its Location', { range: { start: 60, end: 109 }, locationOffset: 60 }, 'UploadOffsetError'],
    ['a stated offset', { statedOffset: 100 }, 100],
    ['… at an old Location', { statedOffset: 100, locationOffset: 0 }, 100],
    ['… with its range', { statedOffset: 100, range: { start: 100, end: 109 } }, 100],
    ['… with another range', { statedOffset: 100, range: { start: 60, end: 69 } }, 'BlobUploadInvalidError'],
    ['an earlier stated offset', { statedOffset: 60 }, 'UploadOffsetError'],
    ['… at its Location', { statedOffset: 60, locationOffset: 60 }, 'UploadOffsetError'],
    ['… at the last Location', { statedOffset: 60, locationOffset: 100 }, 'UploadOffsetError'],
    ['a later stated offset', { statedOffset: 101, lengthBytes: 0 }, 'UploadOffsetError'],
    ['a range of another length', { range: { start: 100, end: 109 }, lengthBytes: 9 }, 'SizeInvalidError'],
  ])('of a request with %s %j: %s', (_, headers, start) => {
    expect(startOf(headers)).toBe(start);
  });

  it.each<[headers: Headers, message: string]>([
    [{ range: { start: 60, end: 109 } }, 'the Content-Range starts at byte 60'],
    [{ statedOffset: 60 }, 'the Upload-Offset is 60'],
    [
      { locationOffset: 60, lengthBytes: 39 },
      'this Location is for a body that starts at byte 60, and this one ends before the stored bytes do',
    ],
    [
      { locationOffset: 50 },
      'this Location is for a body that starts at byte 50, where the last body did not start',
    ],
    [{ locationOffset: 101 }, 'this Location is for a body that starts at byte 101, beyond the stored bytes'],
  ])('is wrong with %j, and the error says why', (headers, message) => {
    const body = { source: { [Symbol.asyncIterator]: () => ({ next: never }) }, ...NO_HEADERS, ...headers };
    expect(() => bodyStartOf(SESSION, body)).toThrow(
      `${message}; continue at byte 100 with the Location of this response`,
    );
  });

  it('is only known at 0 and at the offset if no body start was recorded', () => {
    const session = { ...SESSION, bodyStart: null };
    const starts = [0, 60, 100].map((locationOffset) => startOf({ locationOffset }, session));
    expect(starts).toEqual([0, 'UploadOffsetError', 100]);
  });
});

const NO_HEADERS = { lengthBytes: undefined, range: undefined };

function never(): Promise<IteratorResult<Uint8Array>> {
  return new Promise(() => undefined);
}

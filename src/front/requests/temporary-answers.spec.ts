import { describe, expect, it } from '@jest/globals';
import { BUSY_UPLOAD } from '../../oci/busy-upload.js';
import { isBusyUpload, isTemporary } from './temporary-answers.js';

describe('isTemporary', () => {
  it.each([
    // 408: the replica's time for a body that pauses.
    [[408, 502, 503, 504], true],
    [[200, 202, 204, 206, 304, 307, 400, 401, 404, 409, 413, 416, 429, 501, 505], false],
  ])('%j: %s', (statuses, expected) => {
    for (const status of statuses) expect([status, isTemporary(status, 9)]).toEqual([status, expected]);
  });

  it('takes an internal error for a passing one three times', () => {
    const answers = [0, 1, 2, 3, 4].map((failed) => isTemporary(500, failed));
    expect(answers).toEqual([true, true, true, false, false]);
  });
});

describe('isBusyUpload', () => {
  const answer = (status: number, error: object) => ({
    ...{ status, headers: {} },
    body: Buffer.from(JSON.stringify({ errors: [{ code: 'TOOMANYREQUESTS', message: 'x', ...error }] })),
  });

  it('tells a busy session from a limit of the client', () => {
    expect(isBusyUpload(answer(429, { detail: BUSY_UPLOAD }))).toBe(true);
    expect(isBusyUpload(answer(429, {}))).toBe(false);
    expect(isBusyUpload(answer(400, { detail: BUSY_UPLOAD }))).toBe(false);
  });
});

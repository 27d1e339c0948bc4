import { describe, expect, it } from '@jest/globals';
import { isTemporary } from './temporary-answers.js';

describe('isTemporary', () => {
  it.each([
    // 408: the replica's time for a body that pauses.
    [[408, 502, 503, 504], true, true],
    // Of a session: held by a writer that was lost.
    [[429], true, false],
    [[200, 202, 204, 206, 304, 307, 400, 401, 404, 409, 413, 416, 501, 505], false, false],
  ])('%j: %s on a session, otherwise %s', (statuses, onSession, otherwise) => {
    for (const status of statuses) {
      expect([status, isTemporary(status, true, 9)]).toEqual([status, onSession]);
      expect([status, isTemporary(status, false, 9)]).toEqual([status, otherwise]);
    }
  });

  it('takes an internal error for a passing one three times', () => {
    const answers = [0, 1, 2, 3, 4].map((failed) => isTemporary(500, false, failed));
    expect(answers).toEqual([true, true, true, false, false]);
  });
});

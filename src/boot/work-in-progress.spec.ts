import { expect, it } from '@jest/globals';
import { describeWait, NO_WORK } from './work-in-progress.js';

it('says what a stop waits for, and for how long', () => {
  expect(describeWait(3, NO_WORK)).toBe('nothing to wait for');
  expect(describeWait(3, { requests: 2, uploads: 1, events: 0 })).toBe(
    'waits up to 3 s for 2 requests, 1 upload',
  );
});

import { describe, expect, it } from '@jest/globals';
import { BlobUploadInvalidError } from './errors.js';
import { parseUploadOffset } from './upload-offset.js';

describe('Upload-Offset', () => {
  it.each([
    ['0', 0],
    ['16777216', 16_777_216],
    ['007', 7],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
  ])('parses "%s"', (text, offset) => {
    expect(parseUploadOffset(text)).toBe(offset);
  });

  it.each(['', '-1', '+1', '1.0', '1e3', '0x10', '1, 1', ' 1', '9007199254740992'])(
    'refuses "%s"',
    (text) => {
      expect(() => parseUploadOffset(text)).toThrow(BlobUploadInvalidError);
    },
  );
});

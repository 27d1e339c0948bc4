import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { BlobUploadUnknownError } from './errors.js';
import { newUploadId, parseUploadId } from './upload-id.js';

describe('UploadId', () => {
  it('parses its own ids', () => {
    const id = newUploadId();
    expect(parseUploadId(id)).toBe(id);
    expect(parseUploadId(id.toUpperCase())).toBe(id);
    expect(newUploadId()).not.toBe(id);
  });

  it('parses every UUID of version 4', () => {
    fc.assert(fc.property(fc.uuid({ version: 4 }), (id) => parseUploadId(id) === id));
  });

  it.each([
    '',
    'x',
    '../etc',
    '00000000-0000-0000-0000-000000000000',
    '6ba7b810-9dad-11d1-80b4-00c04fd430c8',
    '{c5a1f0f4-9a4e-4f0b-8f7e-0d8f4a3b2c1d}',
    'c5a1f0f4-9a4e-4f0b-8f7e-0d8f4a3b2c1d\n',
    'c5a1f0f49a4e4f0b8f7e0d8f4a3b2c1d',
  ])('throws BLOB_UPLOAD_UNKNOWN for %j', (text) => {
    expect(() => parseUploadId(text)).toThrow(
      expect.objectContaining({
        code: 'BLOB_UPLOAD_UNKNOWN',
        detail: { id: text.slice(0, 64) },
      }),
    );
  });

  it('throws nothing else for any text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(() => parseUploadId(text)).toThrow(BlobUploadUnknownError);
      }),
    );
  });
});

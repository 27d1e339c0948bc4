import { BadRequestException } from '@nestjs/common';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { anyText } from '../../../test/support/any-text.js';
import { parseRepositoryName } from '../../oci/repository-name.js';
import { parseTag } from '../../oci/tag.js';
import { parseUploadId } from '../../oci/upload-id.js';
import { KeysetCursor, MAX_CURSOR_LENGTH } from './keyset-cursor.js';

const tags = new KeysetCursor('tags', parseTag);
const base64url = (text: string) => Buffer.from(text).toString('base64url');

describe('KeysetCursor', () => {
  it('decodes what it encoded', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/), (tag) => {
        expect(tags.decode(tags.encode(parseTag(tag)))).toBe(tag);
      }),
    );
  });

  it('decodes a missing cursor as the first page', () => {
    expect(tags.decode(undefined)).toBeUndefined();
  });

  it('is shorter than the maximum for the longest name', () => {
    const names = new KeysetCursor('repositories', parseRepositoryName);
    expect(names.encode(parseRepositoryName('a'.repeat(255))).length).toBeLessThan(MAX_CURSOR_LENGTH);
  });

  it.each([
    ['an empty text', ''],
    ['another list', base64url('repositories:latest')],
    ['a missing list', base64url('latest')],
    ['a missing key', base64url('tags:')],
    ['an invalid key', base64url('tags:.hidden')],
    ['a NUL', base64url('tags:a\0')],
    ['padding', `${base64url('tags:a')}==`],
    ['the standard alphabet of base64', Buffer.from('tags:a~?~?').toString('base64')],
    ['line breaks', base64url('tags:latest').replace(/^..../, '$&\n')],
    ['extra bits at the end', base64url('tags:ab').replace(/g$/, 'h')],
    ['invalid UTF-8', Buffer.from([...Buffer.from('tags:a'), 0xff]).toString('base64url')],
    ['a text that is not base64', 'ä;%$'],
  ])('rejects %s', (_, cursor) => {
    expect(() => tags.decode(cursor)).toThrow(BadRequestException);
  });

  it('rejects a key that is not in canonical form', () => {
    const uploads = new KeysetCursor('uploads', parseUploadId);
    const id = '3F2504E0-4F89-41D3-9A0C-0305E82C3301';
    expect(() => uploads.decode(base64url(`uploads:${id}`))).toThrow(BadRequestException);
    expect(uploads.decode(base64url(`uploads:${id.toLowerCase()}`))).toBe(id.toLowerCase());
  });

  it('rejects any other text', () => {
    fc.assert(
      fc.property(anyText(), (text) => {
        expect(() => tags.decode(text)).toThrow(BadRequestException);
      }),
    );
  });
});

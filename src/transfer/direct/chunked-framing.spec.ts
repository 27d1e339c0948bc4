import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ChunkedFraming } from './chunked-framing.js';

const bytes = (text: string) => Buffer.from(text, 'latin1');

/** Reads `raw` in pieces that end at `cuts`. */
function readAll(raw: Buffer, cuts: readonly number[] = []) {
  const framing = new ChunkedFraming();
  const content: Buffer[] = [];
  let readBytes = 0;
  const ends = [...new Set([...cuts.map((cut) => cut % raw.length), raw.length])].sort((a, b) => a - b);
  let at = 0;
  for (const end of ends) {
    const piece = raw.subarray(at, end);
    const spans: number[] = [];
    readBytes += framing.read(piece, spans);
    for (let index = 0; index < spans.length; index += 2) {
      content.push(piece.subarray(spans[index], spans[index + 1]));
    }
    at = end;
  }
  return { framing, content: Buffer.concat(content).toString('latin1'), readBytes };
}

const chunk = fc
  .tuple(
    fc.string({ minLength: 1, maxLength: 40 }),
    fc.constantFrom('', ';x', ';name="a b"'),
    fc.integer({ min: 0, max: 2 }),
  )
  .map(([text, extension, zeros]) => {
    const size = Buffer.byteLength(text, 'latin1').toString(16).padStart(zeros, '0');
    return { text, raw: `${zeros === 2 ? size.toUpperCase() : size}${extension}\r\n${text}\r\n` };
  });

describe('ChunkedFraming', () => {
  it('finds content and end, however the bytes are split', () => {
    fc.assert(
      fc.property(
        fc.array(chunk, { maxLength: 6 }),
        fc.constantFrom('', 'Name: value\r\n', 'A: b\r\nC: d\r\n'),
        fc.string({ maxLength: 10 }),
        fc.array(fc.nat(), { maxLength: 8 }),
        (chunks, trailers, rest, cuts) => {
          const body = `${chunks.map(({ raw }) => raw).join('')}0\r\n${trailers}\r\n`;
          const { framing, content, readBytes } = readAll(bytes(body + rest), cuts);
          expect(content).toBe(chunks.map(({ text }) => text).join(''));
          expect([framing.isDone, framing.isMalformed, readBytes]).toEqual([true, false, body.length]);
        },
      ),
    );
  });

  it.each([
    ['no size', '\r\nabc'],
    ['an empty extension line', ';x\r\n'],
    ['a letter that is no digit', 'g\r\n'],
    ['a sign', '-1\r\n'],
    ['a size beyond 2^53', 'fffffffffffffff\r\n'],
    ['a size that ends in a bare LF', '3\nabc\r\n'],
    ['content longer than its chunk', '3\r\nabcd\r\n'],
  ])('refuses %s', (_, text) => {
    const { framing } = readAll(bytes(text));
    expect([framing.isMalformed, framing.isDone]).toEqual([true, false]);
  });

  describe('after', () => {
    /** The bytes of a body from `from` on, and the last content in them, as Node's parser finds it. */
    it.each([
      ['in the middle of a chunk', 'xx\r\n8\r\nabc', 'abc', 'defgh\r\n0\r\n\r\n', 'defgh'],
      ['at the end of a chunk', 'xx\r\n3\r\nabc', 'abc', '\r\n2\r\nde\r\n0\r\n\r\n', 'de'],
      ['between CR and LF', 'xx\r\n3\r\nabc\r', 'abc', '\n2\r\nde\r\n0\r\n\r\n', 'de'],
      [
        'in the middle of a size',
        'xx\r\n3\r\nabc\r\n1',
        'abc',
        '0\r\n0123456789abcdef\r\n0\r\n\r\n',
        '0123456789abcdef',
      ],
      ['behind zeros', '00\r\n4\r\n00', '00', '00\r\n0\r\n\r\n', '00'],
    ])('continues %s', (_, raw, last, rest, content) => {
      const framing = ChunkedFraming.after(bytes(raw), bytes(last));
      const spans: number[] = [];
      const read = framing?.read(bytes(rest), spans);
      const found: string[] = [];
      for (let at = 0; at < spans.length; at += 2) found.push(rest.slice(spans[at], spans[at + 1]));
      expect([found.join(''), read, framing?.isDone]).toEqual([content, rest.length, true]);
    });

    it.each([
      ['no line with a size', 'abcdefgh', 'abcdefgh'],
      ['a size that began earlier', '00\r\nabc', 'abc'],
      ['a size less than the content', 'xx\r\n2\r\nabc', 'abc'],
      ['other content', 'xx\r\n8\r\nabc', 'abd'],
      ['an extension', 'xx\r\n8;a\r\nabc', 'abc'],
      // The true size is the last one. A size without an extension stands before the same bytes, too.
      ['content in two places', `abc\r\n30\r\n${'\r\n30;x\r\n'.repeat(7)}`, '\r\n30;x\r\n'.repeat(6)],
    ])('finds nothing with %s', (_, raw, last) => {
      expect(ChunkedFraming.after(bytes(raw), bytes(last))).toBeUndefined();
    });
  });
});

import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { PullPosition } from './pull-position.js';

const answer = (statusCode: number, headers: IncomingHttpHeaders) =>
  ({ statusCode, headers }) as IncomingMessage;

const whole = answer(200, { etag: '"d"', 'content-length': '100' });
const part = (range: string, etag = '"d"') =>
  answer(206, { etag, 'content-length': '1', 'content-range': range });

describe('PullPosition', () => {
  it('asks for the rest of a whole blob, if it is the same one', () => {
    const position = PullPosition.of(whole);
    expect(position?.headers).toEqual({ range: 'bytes=0-99', 'if-range': '"d"' });
    position?.advance(30);
    position?.advance(1);
    expect(position?.headers).toEqual({ range: 'bytes=31-99', 'if-range': '"d"' });
  });

  it('asks for the rest of a range', () => {
    const position = PullPosition.of(part('bytes 10-19/100'));
    position?.advance(4);
    expect(position?.headers).toEqual({ range: 'bytes=14-19', 'if-range': '"d"' });
  });

  it('is continued by the same content from the next byte only', () => {
    const position = PullPosition.of(whole);
    position?.advance(31);
    const answers = [
      part('bytes 31-99/100'),
      part('bytes 30-99/100'),
      part('bytes 32-99/100'),
      part('bytes 31-99/100', '"other"'),
      whole,
      answer(416, {}),
    ];
    expect(answers.map((other) => position?.isContinuedBy(other))).toEqual([
      true,
      ...[false, false, false, false, false],
    ]);
  });

  it.each([
    ['no ETag', answer(200, { 'content-length': '5' })],
    ['no length', answer(200, { etag: '"d"' })],
    ['several ranges', answer(206, { etag: '"d"', 'content-length': '500' })],
    ['a redirect', answer(307, { etag: '"d"', 'content-length': '0' })],
    ['an error', answer(404, { etag: '"d"', 'content-length': '5' })],
  ])('there is none of an answer with %s', (_, other) => {
    expect(PullPosition.of(other)).toBeUndefined();
  });
});

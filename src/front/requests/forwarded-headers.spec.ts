import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { answerHeaders, type ClientRequest, forwardedHeaders } from './forwarded-headers.js';

type Lines = readonly (readonly [name: string, value: string])[];

/** A message with these header lines, as Node's parser makes it. */
function message(lines: Lines): IncomingMessage {
  const made = new IncomingMessage(new Socket());
  const raw: unknown = made;
  (raw as { _addHeaderLines(lines: string[], count: number): void })._addHeaderLines(
    lines.flat(),
    lines.length * 2,
  );
  made.rawHeaders = lines.flat();
  return made;
}

const OF_THE_FRONT = {
  host: 'registry.example',
  'x-forwarded-for': '192.0.2.7',
  'x-forwarded-host': 'registry.example',
  'x-forwarded-proto': 'http',
  'x-request-id': 'mine',
};

/** The headers that a replica gets from a client with these lines. */
function forwarded(lines: Lines, known: Partial<ClientRequest> = {}) {
  const request = Object.assign(message([['Host', 'registry.example'], ...lines]), {
    ...{ id: 'mine', clientAddress: '192.0.2.7' },
    ...known,
  });
  return forwardedHeaders(request as ClientRequest);
}

const only = (headers: object) => ({ ...OF_THE_FRONT, ...headers });

describe('forwardedHeaders', () => {
  it('has what is for the replica', () => {
    const lines: Lines = [
      ['Authorization', 'Bearer x'],
      ['Content-Type', 'application/json'],
      ['Content-Range', '0-4'],
      ['Range', 'bytes=0-4'],
      ['Idempotency-Key', 'k'],
      ['Upload-Offset', '0'],
    ];
    const expected = Object.fromEntries(lines.map(([name, value]) => [name.toLowerCase(), value]));
    expect(forwarded(lines)).toEqual(only(expected));
  });

  it('has nothing of the connection, and no length: the front writes that', () => {
    const lines: Lines = [
      ['Connection', 'close'],
      ['Keep-Alive', 'timeout=5'],
      ['Proxy-Connection', 'keep-alive'],
      ['Proxy-Authorization', 'Basic x'],
      ['TE', 'trailers'],
      ['Trailer', 'X-Sum'],
      ['Transfer-Encoding', 'chunked'],
      ['Upgrade', 'websocket'],
      ['Expect', '100-continue'],
      ['Content-Length', '5'],
      ['Prefer', 'upload-progress'],
    ];
    expect(forwarded(lines)).toEqual(OF_THE_FRONT);
  });

  it('has nothing that Connection names', () => {
    const lines: Lines = [
      ['Connection', 'X-One ,x-two'],
      ['connection', 'Host'],
      ['X-One', '1'],
      ['X-Two', '2'],
      ['X-Three', '3'],
    ];
    expect(forwarded(lines)).toEqual(only({ 'x-three': '3' }));
  });

  it('keeps repeated headers repeated, so that the replica can refuse them', () => {
    const lines: Lines = [
      ['Upload-Offset', '4'],
      ['upload-offset', '5'],
      ['Accept', 'a'],
      ['Accept', 'b'],
      ['Content-Type', 'a'],
      ['Content-Type', 'b'],
    ];
    expect(forwarded(lines)).toEqual(
      only({ 'upload-offset': ['4', '5'], accept: ['a', 'b'], 'content-type': ['a', 'b'] }),
    );
  });

  it('says who the client is, whatever the client says', () => {
    const lines: Lines = [
      ['X-Forwarded-For', '9.9.9.9'],
      ['X-Forwarded-Host', 'other.example'],
      ['X-Forwarded-Proto', 'https'],
      ['Forwarded', 'for=9.9.9.9'],
      ['X-Request-Id', 'a\tb'],
    ];
    expect(forwarded(lines)).toEqual(OF_THE_FRONT);
    // What a trusted proxy says is known to Express.
    const known = { clientAddress: '198.51.100.1', host: 'public.example', protocol: 'https' };
    expect(forwarded(lines, known)).toEqual({
      ...OF_THE_FRONT,
      'x-forwarded-for': '198.51.100.1',
      'x-forwarded-host': 'public.example',
      'x-forwarded-proto': 'https',
    });
  });
});

describe('answerHeaders', () => {
  it('has all but those of the connection', () => {
    const answer = message([
      ['Content-Length', '5'],
      ['Docker-Content-Digest', 'sha256:x'],
      ['Location', '/v2/a'],
      ['Set-Cookie', 'a=1'],
      ['Set-Cookie', 'b=2'],
      ['Connection', 'keep-alive, X-Hop'],
      ['Keep-Alive', 'timeout=75'],
      ['X-Hop', '1'],
      ['X-Request-Id', 'mine'],
    ]);
    expect(answerHeaders(answer)).toEqual({
      'content-length': '5',
      'docker-content-digest': 'sha256:x',
      location: '/v2/a',
      'set-cookie': ['a=1', 'b=2'],
    });
  });
});

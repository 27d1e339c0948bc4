import { randomBytes } from 'node:crypto';
import { addAbortSignal, Readable, Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { partsOf } from '../../test/support/multipart-parts.js';
import type { ByteSpan } from '../oci/byte-range.js';
import type { OpenObject } from '../storage/driver-abilities.js';
import { StorageError } from '../storage/storage.errors.js';
import { MultipartByteranges } from './multipart-byteranges.js';

const BLOB = randomBytes(5_000);
const TYPE = 'application/octet-stream';

const bytesOf = ({ start, end }: ByteSpan) => BLOB.subarray(start, end + 1);
const bodyOf = (...spans: [ByteSpan, ...ByteSpan[]]) => new MultipartByteranges(spans, BLOB.length, TYPE);
const TWO = [
  { start: 4_000, end: 4_999 },
  { start: 0, end: 0 },
] as const;

const anySpan = fc
  .tuple(fc.nat({ max: BLOB.length - 1 }), fc.nat({ max: 2_000 }))
  .map(([start, more]) => ({ start, end: Math.min(start + more, BLOB.length - 1) }));
const anySpans = fc
  .tuple(anySpan, fc.array(anySpan, { maxLength: 8 }))
  .map(([first, others]): [ByteSpan, ...ByteSpan[]] => [first, ...others]);

/** The blob as an object that is held open. */
const OPEN: OpenObject = {
  sizeBytes: BLOB.length,
  read: (into, position) => {
    if (position + into.length > BLOB.length) throw new StorageError('beyond the end');
    into.set(BLOB.subarray(position, position + into.length));
    return Promise.resolve();
  },
  close: () => Promise.resolve(),
};

describe('MultipartByteranges', () => {
  it('has each span as a part with its type and range, and the length that it states', () => {
    fc.assert(
      fc.property(anySpans, (spans) => {
        const body = bodyOf(...spans);
        const bytes = body.ofBytes(BLOB);
        expect(bytes.length).toBe(body.sizeBytes);
        // Texts: Jest compares the bytes of buffers one by one.
        const parts = partsOf(body.contentType, bytes);
        expect(parts.map((part) => ({ ...part, bytes: part.bytes.toString('latin1') }))).toEqual(
          spans.map((span) => ({
            type: TYPE,
            range: `bytes ${span.start}-${span.end}/${BLOB.length}`,
            bytes: bytesOf(span).toString('latin1'),
          })),
        );
      }),
    );
  });

  it('is the same for an open object, read in pieces of any size', async () => {
    await fc.assert(
      fc.asyncProperty(anySpans, fc.integer({ min: 1, max: 3_000 }), async (spans, step) => {
        const body = bodyOf(...spans);
        const object = body.ofObject(OPEN);
        const read: Buffer[] = [];
        for (let position = 0; position < object.sizeBytes; position += step) {
          const piece = Buffer.alloc(Math.min(step, object.sizeBytes - position));
          await object.read(piece, position);
          read.push(piece);
        }
        expect(Buffer.concat(read).equals(body.ofBytes(BLOB))).toBe(true);
      }),
    );
  });

  it('is the same for streams, of which one is open at a time', async () => {
    await fc.assert(
      fc.asyncProperty(anySpans, async (spans) => {
        const opened: Readable[] = [];
        const open = (span: ByteSpan) => {
          expect(opened.every(({ destroyed }) => destroyed)).toBe(true);
          opened.push(Readable.from([bytesOf(span)]));
          return opened.at(-1) as Readable;
        };
        const body = bodyOf(...spans);
        const streamed = body.ofStreams(open(spans[0]), (span) => Promise.resolve(open(span)));
        expect((await buffer(streamed)).equals(body.ofBytes(BLOB))).toBe(true);
        expect(opened).toHaveLength(spans.length);
      }),
    );
  });

  it('has another boundary each time', () => {
    expect(bodyOf(...TWO).contentType).not.toBe(bodyOf(...TWO).contentType);
  });

  it('fails if a later stream cannot be opened', async () => {
    const failed = () => Promise.reject(new StorageError('lost'));
    await expect(buffer(bodyOf(...TWO).ofStreams(Readable.from([bytesOf(TWO[0])]), failed))).rejects.toThrow(
      'lost',
    );
  });

  it.each([0, 1])('ends when the client disconnects during stream %d', async (which) => {
    const gone = new AbortController();
    let isRead: () => void = () => undefined;
    const reading = new Promise<void>((resolve) => (isRead = resolve));
    // Drivers destroy a stream when its signal aborts.
    const stalled = addAbortSignal(gone.signal, new Readable({ read: isRead }));
    const streams = TWO.map((span, index) => (index === which ? stalled : Readable.from([bytesOf(span)])));
    const body = bodyOf(...TWO).ofStreams(streams[0] as Readable, () =>
      Promise.resolve(streams[1] as Readable),
    );
    const response = new Writable({ write: (_chunk, _encoding, done) => done() });
    const sent = pipeline(body, response).catch((error: unknown) => error);
    await reading;
    response.once('close', () => gone.abort());
    response.destroy();
    expect(await sent).toBeInstanceOf(Error);
    expect(streams.slice(0, which + 1).every(({ destroyed }) => destroyed)).toBe(true);
  });
});

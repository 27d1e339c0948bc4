import fc from 'fast-check';
import { requestHead, type RawHeaders } from '../support/raw-http.js';
import { patternBytes } from '../support/upload-probe.js';

const KIB = 1024;
const MIB = 1024 * KIB;

/** One chunk of a chunked body, and how its size is written. */
interface ChunkPlan {
  readonly length: number;
  readonly digits: 'lower' | 'upper' | 'padded';
  readonly extension: string;
  /** Whether the content consists of what looks like framing of its own length. */
  readonly looksLikeFraming: boolean;
}

/** A body of one PATCH. */
export interface BodyPlan {
  readonly framing: 'Content-Length' | 'chunked';
  readonly chunks: readonly ChunkPlan[];
  readonly trailer: string;
}

/** What is wrong with the framing of the last body, from one of its chunks on. */
export interface Fault {
  readonly at: 'the header' | 'the data' | 'the trailer' | 'the size' | 'the end';
  readonly text: string;
  /** Of the chunks. */
  readonly chunk: number;
}

/** What a client sends on one connection. */
export interface StreamPlan {
  readonly bodies: readonly BodyPlan[];
  readonly fault: Fault | undefined;
  /** Whether the last head has `Expect: 100-continue`. The client does not wait for it. */
  readonly expectsContinue: boolean;
  /** Where the bytes are cut into segments: near a boundary of the framing, and anywhere. */
  readonly cuts: readonly (readonly [boundary: number, shift: number])[];
}

/** The bytes of a stream, as they are sent. */
export interface SentStream {
  readonly segments: readonly Buffer[];
  /** What all bodies contain up to the fault, and behind it, if it is none. */
  readonly content: Buffer;
  readonly responses: number;
  /** Whether the server would wait for more. Then the client half-closes the connection. */
  readonly isUnfinished: boolean;
}

/** Sizes at and around those of Node's chunks, of Berth's buffers, and of everything smaller. */
const length = fc.oneof(
  { arbitrary: fc.integer({ min: 1, max: 40 }), weight: 4 },
  { arbitrary: fc.integer({ min: 1, max: 20_000 }), weight: 3 },
  { arbitrary: near(64 * KIB), weight: 2 },
  { arbitrary: near(512 * KIB), weight: 2 },
  { arbitrary: near(2 * MIB), weight: 1 },
);

function near(size: number): fc.Arbitrary<number> {
  return fc.integer({ min: -2, max: 2 }).map((shift) => size + shift);
}

const body = fc.record<BodyPlan>({
  framing: fc.constantFrom('Content-Length', 'chunked', 'chunked', 'chunked'),
  chunks: fc.array(
    fc.record<ChunkPlan>({
      length,
      digits: fc.constantFrom('lower', 'lower', 'upper', 'padded'),
      extension: fc.constantFrom('', '', '', ';x', ';name=value', ';name="quo ted;"', ';a=b;c=d'),
      looksLikeFraming: fc.constantFrom(false, false, true),
    }),
    { minLength: 1, maxLength: 8 },
  ),
  trailer: fc.constantFrom('', '', '', 'X-Trailer: one\r\n', 'A: b\r\nC: d\r\n'),
});

const fault = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record<Fault>({
      at: fc.constant('the header' as const),
      text: fc.constantFrom(
        ...[
          'xyz\r\n',
          '-5\r\n',
          '\r\n',
          ' 5\r\n',
          '0x5\r\n',
          '5 \r\n',
          '5\n',
          '5\r',
          '5;',
          '5\r\r\n',
          '+5\r\n',
        ],
        ...[
          'FFFFFFFFFFFFFFFFF\r\n',
          '10000000000000000\r\n',
          '5 ;x\r\n',
          '5;\0\r\n',
          '5; x = y\r\n',
          '5;"\r\n',
        ],
        `5;${'x'.repeat(20_000)}\r\n`,
        `${'0'.repeat(40)}5\r\n`,
      ),
      chunk: fc.nat(8),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record<Fault>({
      at: fc.constant('the data' as const),
      text: fc.constantFrom('', 'X', '\n', '\r', 'X\r\n', '\r\n\r\n', '\rX'),
      chunk: fc.nat(8),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record<Fault>({
      at: fc.constant('the trailer' as const),
      text: fc.constantFrom(
        'no colon\r\n',
        ': no name\r\n',
        `A: ${'x'.repeat(40_000)}\r\n`,
        'A: b\n',
        'A\0: b\r\n',
        'Content-Length: 5\r\n',
        'Transfer-Encoding: chunked\r\n',
      ),
      chunk: fc.constant(0),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record<Fault>({
      at: fc.constant('the size' as const),
      text: fc.constantFrom('7FFFFFFFFFFFFFFF\r\n', 'FFFFFFFF\r\n', 'FFFFFFFFFFFFFFFF\r\n'),
      chunk: fc.nat(8),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record<Fault>({
      at: fc.constant('the end' as const),
      text: fc.constant(''),
      chunk: fc.nat(8),
    }),
  },
);

/** Streams whose bodies are all complete. */
export const goodStream = streams(fc.constant(undefined));
/** Streams whose last body is malformed, or ends too early. */
export const badStream = streams(fault);

function streams(fault: fc.Arbitrary<Fault | undefined>): fc.Arbitrary<StreamPlan> {
  const cut = fc.tuple(
    fc.nat(200),
    fc.oneof(fc.integer({ min: -3, max: 3 }), fc.integer({ min: 0, max: 3 * MIB })),
  );
  return fc.record<StreamPlan>({
    bodies: fc.array(body, { minLength: 1, maxLength: 3 }),
    fault,
    expectsContinue: fc.boolean(),
    cuts: fc.array(cut, { maxLength: 12 }),
  });
}

/** Every byte is sent: the head of each PATCH of `path`, and its body. */
export function sentStream({ bodies, fault, expectsContinue, cuts }: StreamPlan, path: string): SentStream {
  const parts: Buffer[] = [];
  const contents: Buffer[] = [];
  let isBroken = false;
  const send = (part: string | Buffer) => {
    if (!isBroken) parts.push(Buffer.from(part));
  };
  bodies.forEach((plan, index) => {
    const isLast = index === bodies.length - 1;
    const own = isLast ? fault : undefined;
    const pieces = plan.chunks.map((chunk, n) => contentOf(chunk, 100 * index + n + 1));
    send(requestHead('PATCH', path, headersOf(plan, pieces, isLast && expectsContinue)));
    const keep = (piece: Buffer) => {
      send(piece);
      if (!isBroken) contents.push(piece);
    };
    if (plan.framing === 'Content-Length') {
      pieces.forEach((piece, n) => {
        if (own !== undefined && n === own.chunk % pieces.length) {
          keep(piece.subarray(0, -1));
          isBroken = true;
        }
        keep(piece);
      });
      return;
    }
    pieces.forEach((piece, n) => {
      const faultHere = own !== undefined && n === own.chunk % pieces.length ? own : undefined;
      const isHeader = faultHere?.at === 'the header' || faultHere?.at === 'the size';
      send(isHeader ? faultHere.text : `${sizeOf(plan.chunks[n])}\r\n`);
      if (isHeader) {
        // Only a little: a client that still sends when it is refused may not get the response. And random
        // bytes: if the parser accepts the header, it must refuse what follows.
        keep(patternBytes(Math.min(piece.length, 64), 9));
        isBroken = true;
      }
      if (faultHere?.at === 'the end') {
        keep(piece.subarray(0, Math.floor(piece.length / 2)));
        isBroken = true;
      }
      keep(piece);
      send(faultHere?.at === 'the data' ? `${faultHere.text}5\r\n` : '\r\n');
      isBroken ||= faultHere?.at === 'the data';
    });
    send('0\r\n');
    send(own?.at === 'the trailer' ? own.text : plan.trailer);
    send('\r\n');
  });
  return {
    segments: segmentsOf(parts, cuts),
    content: Buffer.concat(contents),
    responses: bodies.length,
    isUnfinished: fault !== undefined && isWaitedFor(fault, bodies.at(-1)),
  };
}

function contentOf({ length, looksLikeFraming }: ChunkPlan, seed: number): Buffer {
  if (!looksLikeFraming) return patternBytes(length, seed);
  return Buffer.alloc(length, `\r\n${length.toString(16)}\r\n`);
}

function isWaitedFor({ at }: Fault, last: BodyPlan | undefined): boolean {
  return last?.framing === 'Content-Length' || at === 'the size' || at === 'the end';
}

function headersOf({ framing }: BodyPlan, pieces: readonly Buffer[], expectsContinue: boolean): RawHeaders {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const headers: [string, string | number][] =
    framing === 'chunked' ? [['Transfer-Encoding', 'chunked']] : [['Content-Length', length]];
  return expectsContinue ? [...headers, ['Expect', '100-continue']] : headers;
}

function sizeOf(chunk: ChunkPlan | undefined): string {
  const { length = 0, digits = 'lower', extension = '' } = chunk ?? {};
  const hex = length.toString(16);
  if (digits === 'lower') return hex + extension;
  return (digits === 'upper' ? hex.toUpperCase() : hex.padStart(8, '0')) + extension;
}

function segmentsOf(parts: readonly Buffer[], cuts: StreamPlan['cuts']): Buffer[] {
  const bytes = Buffer.concat(parts);
  const boundaries = [0];
  for (const part of parts) boundaries.push((boundaries.at(-1) ?? 0) + part.length);
  const places = cuts.map(([boundary, shift]) => (boundaries[boundary % boundaries.length] ?? 0) + shift);
  const inside = [...new Set(places)]
    .filter((place) => place > 0 && place < bytes.length)
    .sort((a, b) => a - b);
  return [0, ...inside].map((start, n) => bytes.subarray(start, inside[n]));
}

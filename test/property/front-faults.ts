import fc from 'fast-check';
import type { ScriptedRegistry } from './front-registry.js';

/**
 * How a connection between the front and a replica ends:
 *
 *     killed     the process of the replica ends, with all its connections. Bytes since the last checkpoint
 *                are lost. For a moment it refuses connections.
 *     noticed    the network breaks the connection. The replica keeps all bytes that arrived.
 *     unnoticed  the same, but the replica doesn't know yet. It keeps these bytes when another request wants
 *                the session.
 */
export type Ending = 'killed' | 'noticed' | 'unnoticed';

/**
 * A fault of one exchange: a request of the front and its answer. Bytes are counted on the connection: of a
 * request from its first line on, of an answer from the first line of the final response on.
 */
export type Fault =
  | { readonly kind: 'none' }
  | { readonly kind: 'cut request'; readonly atByte: number; readonly ending: Ending }
  | {
      readonly kind: 'cut answer';
      readonly atByte: number;
      readonly ending: Ending;
      /** What happens in the registry before the front can know of the cut. */
      readonly meanwhile?: (registry: ScriptedRegistry) => void;
    }
  /**
   * The replica responds with an error. Before: after it has read that many bytes of the body, and nothing is
   * committed. After: everything is done and only its success is not known, as when the database is lost.
   */
  | {
      readonly kind: 'refuse';
      readonly status: 408 | 429 | 502 | 503 | 504;
      readonly when: 'before' | 'after';
      readonly afterBytes: number;
    }
  /** The replica receives and sends nothing more, on no connection, for some time. Then it goes on. */
  | {
      readonly kind: 'freeze request' | 'freeze answer';
      readonly atByte: number;
      readonly ms: number;
    }
  /** The rest of the request, and so its answer, comes later. */
  | { readonly kind: 'delay'; readonly atByte: number; readonly ms: number }
  /** The answer comes slowly, byte by byte at first. */
  | { readonly kind: 'trickle' }
  /** The replica closes the connection after its answer, and doesn't announce it. */
  | { readonly kind: 'close' }
  /** The replica sends no 104, or each only with the next one. */
  | { readonly kind: 'interim answers'; readonly when: 'never' | 'late' };

/** Faults of the exchanges with all replicas of a front, in the order in which they begin. Then none. */
export type Script = readonly Fault[];

const ending = fc.constantFrom<Ending>('killed', 'noticed', 'unnoticed');
/** Often within the head of a request or its first kilobyte, sometimes far within a body. */
const atByte = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 900 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 2_000_000 }) },
);

const disturbance = fc.oneof(
  fc.record({ kind: fc.constant('cut request' as const), atByte, ending }),
  fc.record({
    kind: fc.constant('cut answer' as const),
    atByte: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 500 }), atByte),
    ending,
  }),
  fc.record({
    kind: fc.constant('refuse' as const),
    status: fc.constantFrom(408, 429, 502, 503, 504),
    when: fc.constant('before'),
    afterBytes: atByte,
  }),
  fc.record({
    kind: fc.constant('refuse' as const),
    status: fc.constantFrom(502, 503, 504),
    when: fc.constant('after'),
    afterBytes: fc.constant(0),
  }),
  fc.record({ kind: fc.constant('delay' as const), atByte, ms: fc.integer({ min: 0, max: 30 }) }),
  fc.record({ kind: fc.constant('trickle' as const) }),
  fc.record({ kind: fc.constant('close' as const) }),
  fc.record({ kind: fc.constant('interim answers' as const), when: fc.constantFrom('never', 'late') }),
);

/** Faults that a front notices at once. */
export const script: fc.Arbitrary<Script> = fc.array(
  fc.oneof(
    { weight: 1, arbitrary: fc.constant<Fault>({ kind: 'none' }) },
    { weight: 2, arbitrary: disturbance },
  ),
  { maxLength: 10, size: 'max' },
);

/**
 * A replica that freezes within one of the first exchanges. A front notices it after some seconds. It wakes
 * up before that, about then, or when its client is done.
 */
export const freeze: fc.Arbitrary<Script> = fc
  .tuple(
    fc.nat(5),
    fc.record({
      kind: fc.constantFrom('freeze request' as const, 'freeze answer' as const),
      atByte: fc.integer({ min: 0, max: 700 }),
      ms: fc.constantFrom(500, 3_000, 4_000, 60_000, 60_000),
    }),
  )
  .map(([n, fault]) => at(n, fault));

/** A script with one fault, of the exchange with that number. */
export function at(exchange: number, fault: Fault): Script {
  return [...Array<Fault>(exchange).fill({ kind: 'none' }), fault];
}

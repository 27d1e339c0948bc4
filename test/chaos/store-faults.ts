import type { FaultRule } from '../support/fault-proxy.js';
import type { StorageFault } from './fault-kinds.js';
import type { SeededRandom } from './seeded-random.js';

/** A fault of an object store for a limited time. */
export interface StoreFault {
  readonly rules: readonly FaultRule[];
  readonly lastsMs: number;
}

const SLOW_DOWN =
  '<?xml version="1.0" encoding="UTF-8"?>' +
  '<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>';
const ALL = { times: Infinity };

/** Each kind of fault, with random parameters. */
export const STORE_FAULTS: Record<StorageFault<'s3'>, (random: SeededRandom) => StoreFault> = {
  'store throttled': (random) => {
    const fault = { kind: 'respond', status: 503, body: SLOW_DOWN } as const;
    return { lastsMs: random.int(500, 1_500), rules: [{ ...ALL, fault }] };
  },
  'store reset connections': (random) => ({
    lastsMs: random.int(1_000, 2_500),
    rules: [
      { ...ALL, every: random.int(2, 4), fault: { kind: 'lose response' } },
      { ...ALL, every: random.int(2, 4), fault: { kind: 'reset' } },
      { ...ALL, method: 'GET', fault: { kind: 'break response', afterBytes: random.int(0, 100_000) } },
    ],
  }),
  'store slow': (random) => ({
    lastsMs: random.int(1_000, 2_500),
    rules: [
      { ...ALL, every: 2, fault: { kind: 'delay', ms: random.int(300, 900) } },
      { ...ALL, fault: { kind: 'delay', ms: random.int(50, 300) } },
    ],
  }),
  // Some requests are done in the end, even if their client has disconnected.
  'store hung': (random) => {
    const lastsMs = random.int(1_000, 3_500);
    return {
      lastsMs,
      rules: [
        { ...ALL, every: random.int(2, 4), fault: { kind: 'hang' } },
        { ...ALL, fault: { kind: 'delay', ms: lastsMs, outlivesClient: true } },
      ],
    };
  },
  'store unreachable': (random) => ({
    lastsMs: random.int(2_000, 3_500),
    rules: [{ ...ALL, fault: { kind: 'reset' } }],
  }),
};

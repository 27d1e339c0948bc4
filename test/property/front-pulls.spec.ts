import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { digestOf } from '../../src/oci/digest.js';
import { patternBytes } from '../support/upload-probe.js';
import { useFrontBenches } from './front-benches.js';
import { ask, BrokenAnswerError } from './front-client.js';
import { at, type Ending, freeze, script } from './front-faults.js';
import { type ClientPlan, pull, streamedPush } from './front-plans.js';

const ENDINGS: readonly Ending[] = ['killed', 'noticed', 'unnoticed'];
const isLong = process.env.PROPERTY_RUNS !== undefined;

/** A push, whose exchanges mostly have no faults, and pulls. */
const pullingClient: fc.Arbitrary<ClientPlan> = fc
  .tuple(fc.constantFrom(0, 1, 300, 20_000, 1_500_000), fc.array(pull, { minLength: 1, maxLength: 4 }))
  .map(([sizeBytes, pulls]) => [{ ...streamedPush(sizeBytes, sizeBytes), form: 'POST' }, ...pulls]);
const clients = fc.array(pullingClient, { minLength: 1, maxLength: 2 });
const later = script.map((faults) => [...at(3, { kind: 'none' }), ...faults]);

describe('a pull through a front before replicas with faults', () => {
  const benches = useFrontBenches(8);

  it('gets the bytes that a replica without faults sends', async () => {
    const plan = fc.record({ clients, script: later, checkpointBytes: fc.constant(70_000) });
    await benches().check(10, plan, (bench, plan) => bench.expectNoDifference(plan));
  });

  it('goes on when a replica freezes', async () => {
    const frozen = freeze.map((faults) => [...at(1, { kind: 'none' }), ...faults]);
    const plan = fc.record({ clients, script: frozen, checkpointBytes: fc.constant(70_000) });
    await benches().check(5, plan, (bench, plan) => bench.expectNoDifference(plan));
  });

  it.each<string | undefined>([undefined, 'bytes=50-200'])(
    'goes on after a cut at any byte (%s)',
    async (range) => {
      const client: ClientPlan = [
        { ...streamedPush(300, 100), form: 'POST' },
        { do: 'pull', which: 0, range },
      ];
      const plan = { clients: [client], checkpointBytes: 70_000, script: [] };
      const expected = await benches().first.expectNoDifference(plan);
      const { reader } = expected;
      const n = reader.exchanges.length - 1;
      const places = Array.from({ length: (reader.exchanges[n]?.sentBytes ?? 0) + 1 }, (_, place) => place);
      await benches().each(
        isLong ? places : places.filter((place) => place % 9 === 0),
        async (bench, atByte) => {
          const fault = { kind: 'cut answer', atByte, ending: ENDINGS[atByte % 3] ?? 'killed' } as const;
          await bench.expectNoDifference({ ...plan, script: at(n, fault) }, expected);
        },
      );
    },
  );

  it('breaks off, rather than to send something else, when the blob is gone', async () => {
    const bytes = patternBytes(5_000);
    const digest = digestOf('sha256', bytes);
    const bench = benches().first;
    const { registry } = bench.begin({
      checkpointBytes: 70_000,
      script: at(0, {
        ...{ kind: 'cut answer', atByte: 2_000, ending: 'noticed' },
        meanwhile: ({ blobs }) => blobs.clear(),
      }),
    });
    registry.storeBlob('demo', digest, bytes);
    const target = `/v2/demo/blobs/${digest}`;
    const broken: unknown = await ask(bench.url, { method: 'GET', target }).catch((error: unknown) => error);
    if (!(broken instanceof BrokenAnswerError)) throw new Error('the answer is whole', { cause: broken });
    expect(broken.body.equals(bytes.subarray(0, broken.body.length))).toBe(true);
  });
});

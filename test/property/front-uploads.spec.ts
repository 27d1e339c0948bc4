import { describe, it } from '@jest/globals';
import fc from 'fast-check';
import type { FrontBench, FrontPlan } from './front-bench.js';
import { useFrontBenches } from './front-benches.js';
import { at, type Ending, type Fault, freeze, script } from './front-faults.js';
import { type ClientPlan, clientPlan, streamedPush } from './front-plans.js';

const ENDINGS: readonly Ending[] = ['killed', 'noticed', 'unnoticed'];

/** A long run cuts at every byte of a body. Most of a head is left out: to a replica, a part is nothing. */
const isLong = process.env.PROPERTY_RUNS !== undefined;
const HEAD_STRIDE = isLong ? 8 : 60;

const CHECKPOINT_BYTES = 32;
const MAX_PLAYS = 10;
const checkpointBytes = fc.constantFrom(40, 200, 65_536, 70_000);
const clients = (count: number) => fc.array(clientPlan, { minLength: count, maxLength: count });

/** One client before replicas without faults: how many bytes each exchange has, and what comes of it. */
async function measure(bench: FrontBench, client: ClientPlan) {
  const plan = { clients: [client], checkpointBytes: CHECKPOINT_BYTES, script: [] };
  const expected = await bench.expectNoDifference(plan);
  return {
    exchanges: expected.reader.exchanges,
    /**
     * Plays it with one fault, until that has happened: on a busy machine, the front may need one request
     * more, and the fault then waits for a byte that its exchange doesn't have.
     */
    withFault: async (other: FrontBench, n: number, fault: Fault) => {
      for (let plays = 0; plays < MAX_PLAYS; plays += 1) {
        const { reader } = await other.expectNoDifference({ ...plan, script: at(n, fault) }, expected);
        if (reader.exchanges[n]?.hasStruck) return;
      }
      throw new Error(`the fault did not happen: ${JSON.stringify({ n, fault })}`);
    },
  };
}

describe('a front before replicas with faults', () => {
  const benches = useFrontBenches(8);

  it('shows clients no fault, and has every effect once', async () => {
    const plan: fc.Arbitrary<FrontPlan> = fc.record({
      clients: fc.oneof(clients(1), clients(2)),
      script,
      checkpointBytes,
    });
    await benches().check(20, plan, (bench, plan) => bench.expectNoDifference(plan));
  });

  it('takes a session over from a writer that freezes in the middle of a body', async () => {
    const forms = ['PATCHes', 'PATCHes and last chunk', 'PATCHes without an end', 'PUT', 'POST'] as const;
    await benches().each(forms, async (bench, form) => {
      const { exchanges, withFault } = await measure(bench, [{ ...streamedPush(150, 50), form }]);
      const n = exchanges.findIndex(({ headBytes, receivedBytes }) => receivedBytes > headBytes);
      const atByte = (exchanges[n]?.headBytes ?? 0) + 60;
      await withFault(bench, n, { kind: 'freeze request', atByte, ms: 60_000 });
    });
  });

  it('leaves a frozen replica, which appends nothing when it wakes up', async () => {
    const plan: fc.Arbitrary<FrontPlan> = fc.record({ clients: clients(3), script: freeze, checkpointBytes });
    await benches().check(5, plan, (bench, plan) => bench.expectNoDifference(plan));
  });

  it.each<[form: 'PATCHes' | 'PATCHes and last chunk' | 'PUT' | 'POST', bodyStride: number]>([
    ['PATCHes', 4],
    ['PATCHes and last chunk', 16],
    ['PUT', 16],
    ['POST', 16],
  ])('carries a streamed upload (%s) over cuts at any byte', async (form, bodyStride) => {
    const client = [{ ...streamedPush(150, 50), form }];
    const { exchanges, withFault } = await measure(benches().first, client);
    const strides = { head: HEAD_STRIDE, body: isLong ? 1 : bodyStride };
    const cuts = exchanges.flatMap(({ headBytes, receivedBytes, sentBytes }, n) => [
      ...placesIn(headBytes, receivedBytes, strides).map((atByte) => cutOf('cut request', n, atByte)),
      ...placesIn(sentBytes, sentBytes, strides).map((atByte) => cutOf('cut answer', n, atByte)),
    ]);
    await benches().each(cuts, (bench, { n, fault }) => withFault(bench, n, fault));
  });

  it('carries a large upload over cuts around checkpoints', async () => {
    const client = [streamedPush(1_300_000, 50_000)];
    const { exchanges, withFault } = await measure(benches().first, client);
    const n = exchanges.findIndex(({ receivedBytes }) => receivedBytes > 1_300_000);
    const headBytes = exchanges[n]?.headBytes ?? 0;
    const checkpoints = isLong ? Array.from({ length: 19 }, (_, checkpoint) => checkpoint + 1) : [1, 16];
    // The framing of chunks takes some bytes.
    const places = checkpoints.flatMap((checkpoint) =>
      [0, 8, 17, 300].map((more) => headBytes + checkpoint * 65_536 + more),
    );
    await benches().each(places, (bench, atByte) =>
      withFault(bench, n, cutOf('cut request', n, atByte).fault),
    );
  });
});

/** The endings take turns. */
function cutOf(kind: 'cut request' | 'cut answer', n: number, atByte: number): { n: number; fault: Fault } {
  return { n, fault: { kind, atByte, ending: ENDINGS[atByte % 3] ?? 'killed' } };
}

/** Places of a cut, always just before the end of the head, behind it, and at the end. */
function placesIn(headBytes: number, totalBytes: number, stride: { head: number; body: number }): number[] {
  const isPlace = (place: number) =>
    place === totalBytes ||
    (place < headBytes - 1 ? place % stride.head === 0 : (place - headBytes + 1) % stride.body < 2);
  return Array.from({ length: totalBytes + 1 }, (_, place) => place).filter(isPlace);
}

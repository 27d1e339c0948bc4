import { open } from 'node:fs/promises';
import { setImmediate as turn } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { freshName } from '../support/fresh-name.js';
import { RawConnection } from '../support/raw-http.js';
import { RegistryClient } from '../support/registry-client.js';
import { type RunningBerth, sharedBerth, sharedFallbackBerth } from '../support/running-berth.js';
import { eventually } from '../support/until.js';
import { badStream, goodStream, sentStream, type StreamPlan } from './body-stream.js';
import { runs } from './runs.js';

/** What a client sees of a stream that it sent, and what is stored of it. */
interface Outcome {
  readonly responses: readonly object[];
  readonly storedBytes: number;
  readonly isStoredRightly: boolean;
}

/**
 * Berth reads large bodies from their socket by itself and decodes their framing. A setting leaves both to
 * Node. Whatever is sent, in whatever segments, both ways give the same responses and store the same bytes.
 */
describe('bodies on a connection', () => {
  const berths: RunningBerth[] = [];
  const name = freshName('streams');

  beforeAll(async () => {
    berths.push(await sharedBerth(), await sharedFallbackBerth());
  });

  const idOf = (location: string) => location.split('/').at(-1) ?? '';

  /** Waits for the end of the request that writes to the session, and returns the durable offset. */
  async function offsetAtRest(berth: RunningBerth, location: string): Promise<number> {
    const sql = 'SELECT offset_bytes::int AS offset, lease_holder FROM uploads WHERE id = $1';
    const ask = () => berth.query<{ offset: number; lease_holder: string | null }>(sql, [idOf(location)]);
    const [row] = await eventually(ask, ([seen]) => seen?.lease_holder === null);
    return row?.offset ?? -1;
  }

  async function stored(berth: RunningBerth, location: string, bytes: number): Promise<Buffer> {
    if (bytes === 0) return Buffer.of();
    const file = await open(`${berth.dataDir}/storage/uploads/${idOf(location)}`);
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  }

  async function outcomeOn(berth: RunningBerth, plan: StreamPlan): Promise<Outcome> {
    const start = () => new RegistryClient(berth.url).startUpload(name);
    // Retried once: the connection that the client kept may have been closed meanwhile.
    const location = await start().catch(start);
    const { segments, content, responses: count, isUnfinished } = sentStream(plan, location);
    const connection = await RawConnection.open(berth.url);
    const responses: object[] = [];
    const receiving = (async () => {
      while (responses.length < count) {
        const response = await connection.response().catch(() => undefined);
        responses.push(response === undefined ? { status: 'closed' } : await seenOf(response));
        if (response === undefined) return;
      }
    })();
    for (const segment of segments) {
      // A server that has refused the stream has closed the connection.
      await connection.send(segment).catch(() => undefined);
      await turn();
    }
    if (isUnfinished) connection.finishSending();
    await receiving;
    connection.leave();
    const storedBytes = await offsetAtRest(berth, location);
    const bytes = await stored(berth, location, storedBytes);
    return { responses, storedBytes, isStoredRightly: bytes.equals(content.subarray(0, storedBytes)) };
  }

  async function seenOf(response: Response): Promise<object> {
    const { status, headers } = response;
    const text = await response.text();
    const { errors = [] } = (text === '' ? {} : JSON.parse(text)) as { errors?: object[] };
    const range = headers.get('range');
    return { status, range, errors };
  }

  it('are stored, whatever their framing and their segments', async () => {
    await fc.assert(
      fc.asyncProperty(goodStream, async (plan) => {
        const [direct, ordinary] = await Promise.all(berths.map((berth) => outcomeOn(berth, plan)));
        const { content } = sentStream(plan, '/');
        expect(direct).toEqual(ordinary);
        expect(direct).toMatchObject({ storedBytes: content.length, isStoredRightly: true });
      }),
      runs(10),
    );
  });

  it('are refused alike if they are malformed, and what came before is kept', async () => {
    await fc.assert(
      fc.asyncProperty(badStream, async (plan) => {
        const [direct, ordinary] = await Promise.all(berths.map((berth) => outcomeOn(berth, plan)));
        expect(direct?.responses).toEqual(ordinary?.responses);
        expect([direct?.isStoredRightly, ordinary?.isStoredRightly]).toEqual([true, true]);
      }),
      runs(15),
    );
  });
});

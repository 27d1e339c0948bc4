import { describe, expect, it } from '@jest/globals';
import { connect } from 'node:net';
import { digestOf } from '../../src/oci/digest.js';
import { httpChunk, requestHead } from '../support/raw-http.js';
import { until } from '../support/until.js';
import { patternBytes } from '../support/upload-probe.js';
import { useFrontBenches } from './front-benches.js';
import { ask } from './front-client.js';
import { at, type Fault } from './front-faults.js';

const UPLOADS = '/v2/demo/blobs/uploads/';
const CONTENT = patternBytes(300);
const MANIFEST = { bytes: patternBytes(200, 2), pieces: [50], isChunked: true, isExpecting: false };
const OTHER = digestOf('sha256', Buffer.from('the manifest of somebody else'));

/** What was asked for is done, and the front doesn't get to know. */
const UNKNOWN_EFFECTS: readonly Fault[] = [
  { kind: 'refuse', status: 503, when: 'after', afterBytes: 0 },
  { kind: 'cut answer', atByte: 0, ending: 'noticed' },
];

/** The response to a change of a tag is lost. Before the front asks again, another client sets the tag. */
const overtaken: Fault = {
  ...{ kind: 'cut answer', atByte: 0, ending: 'noticed' },
  meanwhile: ({ tags }) => void tags.set('demo latest', OTHER),
};

describe('a front that asks again for an answer', () => {
  const benches = useFrontBenches(1);
  const target = '/v2/demo/manifests/latest';

  it('does not undo a later push of the tag', async () => {
    const { first: bench } = benches();
    const { registry } = bench.begin({ checkpointBytes: 64, script: at(0, overtaken) });
    expect(await ask(bench.url, { method: 'PUT', target, body: MANIFEST })).toMatchObject({ status: 201 });
    expect(registry.tags.get('demo latest')).toBe(OTHER);
  });

  it('does not delete a tag that was pushed later', async () => {
    const { first: bench } = benches();
    const { registry } = bench.begin({ checkpointBytes: 64, script: at(1, overtaken) });
    await ask(bench.url, { method: 'PUT', target, body: MANIFEST });
    expect(await ask(bench.url, { method: 'DELETE', target })).toMatchObject({ status: 202 });
    expect(registry.tags.get('demo latest')).toBe(OTHER);
  });
});

describe('a cancelled session', () => {
  const benches = useFrontBenches(1);

  it.each(UNKNOWN_EFFECTS)('is told to be cancelled after %j', async (fault) => {
    const { first: bench } = benches();
    bench.begin({ checkpointBytes: 64, script: at(1, fault) });
    const started = await ask(bench.url, { method: 'POST', target: UPLOADS });
    const session = { target: started.headers.get('location') ?? '' };
    expect(await ask(bench.url, { method: 'DELETE', ...session })).toMatchObject({ status: 204 });
    expect(await ask(bench.url, { method: 'DELETE', ...session })).toMatchObject({ status: 404 });
  });
});

describe('a request of the admin API, whose effect nothing records', () => {
  const benches = useFrontBenches(1);

  it.each(UNKNOWN_EFFECTS)('is not repeated after %j', async (fault) => {
    const { first: bench } = benches();
    const { registry } = bench.begin({ checkpointBytes: 64, script: at(0, fault) });
    const target = '/api/v1/jobs/reap/runs';
    expect(await ask(bench.url, { method: 'POST', target })).toMatchObject({ status: 503 });
    expect(registry.effects).toEqual([`POST ${target}`]);
  });
});

describe('a front whose replicas fail for longer than FRONT_RETRY_SECONDS', () => {
  const benches = useFrontBenches(1, { FRONT_RETRY_SECONDS: '1' });

  it('says when to try again, and the client can go on from the durable bytes', async () => {
    const { first: bench } = benches();
    const refusal = { kind: 'refuse', status: 503, when: 'before' } as const;
    // The first one is behind the start, the question for the offset, and half of the body.
    const refusals = Array<Fault>(10_000).fill({ ...refusal, afterBytes: 0 });
    const { registry, reader } = bench.begin({
      checkpointBytes: 64,
      script: [...at(1, { ...refusal, afterBytes: 150 }), ...refusals],
    });
    const started = await ask(bench.url, { method: 'POST', target: UPLOADS });
    const location = started.headers.get('location') ?? '';
    const body = { bytes: CONTENT, pieces: [50], isChunked: true, isExpecting: false };
    const refused = await ask(bench.url, { method: 'PATCH', target: location, body });
    expect(refused.status).toBe(503);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);

    reader.end();
    const status = await ask(bench.url, { method: 'GET', target: location });
    const offset = Number(status.headers.get('upload-offset'));
    expect(offset).toBeGreaterThanOrEqual(150);
    const rest = { ...body, bytes: CONTENT.subarray(offset) };
    const next = status.headers.get('location') ?? '';
    const digest = digestOf('sha256', CONTENT);
    const committed = await ask(bench.url, { method: 'PUT', target: `${next}&digest=${digest}`, body: rest });
    expect(committed.status).toBe(201);
    expect(registry.blobs.get(`demo ${digest}`)?.equals(CONTENT)).toBe(true);
  });
});

describe('a client that disconnects in the middle of a body', () => {
  const benches = useFrontBenches(4);

  /** Sends a part of a chunked body, and leaves. */
  async function leave(url: string, method: string, target: string, part: Buffer): Promise<void> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    const bytes = [requestHead(method, target, [['Transfer-Encoding', 'chunked']]), httpChunk(part)];
    await new Promise<void>((resolve) => {
      socket.write(Buffer.concat(bytes.map((some) => Buffer.from(some))), () => resolve());
    });
    socket.destroy();
  }

  it.each(['PATCH', 'PUT'])('leaves what arrived in the session, which stays open (%s)', async (method) => {
    await benches().each([1, 40, 64, 150, 299, 300], async (bench, length) => {
      const { registry } = bench.begin({ checkpointBytes: 64, script: [] });
      const started = await ask(bench.url, { method: 'POST', target: UPLOADS });
      const part = CONTENT.subarray(0, length);
      // A commit would be possible: these bytes have this digest.
      const target = `${started.headers.get('location') ?? ''}&digest=${digestOf('sha256', part)}`;
      await leave(bench.url, method, target, part);
      const [session] = registry.sessions.values();
      await until('the bytes that arrived', () => session?.offset === length);
      await bench.recover();
      expect(session?.state).toBe('open');
      expect(session?.bytes.equals(part)).toBe(true);
    });
  });

  it('has pushed neither a blob nor a manifest', async () => {
    const { first: bench } = benches();
    const { registry } = bench.begin({ checkpointBytes: 64, script: [] });
    const targets = ['/v2/demo/manifests/latest', `${UPLOADS}?digest=${digestOf('sha256', CONTENT)}`];
    for (const [n, target] of targets.entries()) {
      await leave(bench.url, n === 0 ? 'PUT' : 'POST', target, CONTENT);
    }
    // The front has begun a session for the blob, which its client doesn't know of.
    const isOver = () => [...registry.sessions.values()].some(({ state }) => state === 'cancelled');
    await until('the end of the session', isOver);
    await bench.recover();
    expect(registry.effects).toEqual([]);
  });
});

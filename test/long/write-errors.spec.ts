import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { parseDigest } from '../../src/oci/digest.js';
import { blobObjectKey } from '../../src/storage/object-key.js';
import { freshName } from '../support/fresh-name.js';
import { FILE_CALLS, PageCache } from '../support/page-cache.js';
import { digestOf, RegistryClient, withDigest } from '../support/registry-client.js';
import { OwnBerth } from '../support/running-berth.js';
import { describeWithStrace, type SystemCall, SystemCallTrace } from '../support/system-calls.js';
import { patternBytes } from '../support/upload-probe.js';

const MIB = 1024 * 1024;
/** Above the 8 MiB after which bytes are written back before their flush. */
const CHECKPOINT_BYTES = 9 * MIB;
const LARGE_BYTES = 10 * MIB + 12_345;
const SMALL_BYTES = 4096;
/** A client repeats a request that failed. One failure of each thread is the most that there can be. */
const MAX_ATTEMPTS = 4;

/** A push of some bytes into a repository of its own, until the request that meets the failure. */
class Push {
  readonly name = freshName('faulty');
  readonly digest: string;
  private location: string | undefined;

  constructor(
    readonly client: RegistryClient,
    readonly bytes: Buffer,
  ) {
    this.digest = digestOf(bytes);
  }

  async start(): Promise<string> {
    return (this.location ??= await this.client.startUpload(this.name));
  }

  async patch(bytes: Uint8Array = this.bytes): Promise<Response> {
    return this.client.patch(await this.start(), bytes);
  }

  async patchChunked(): Promise<Response> {
    const pieces = this.bytes;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let at = 0; at < pieces.length; at += MIB) controller.enqueue(pieces.subarray(at, at + MIB));
        controller.close();
      },
    });
    return this.client.fetch(await this.start(), { method: 'PATCH', body, duplex: 'half' });
  }

  async put(bytes?: Uint8Array): Promise<Response> {
    return this.client.commit(await this.start(), this.digest, bytes);
  }

  post(): Promise<Response> {
    const path = withDigest(`/v2/${this.name}/blobs/uploads/`, this.digest);
    return this.client.fetch(path, { method: 'POST', body: new Uint8Array(this.bytes) });
  }

  get id(): string | undefined {
    return this.location?.split('/').at(-1);
  }

  /** The durable offset that the client gets; undefined if the session has ended. */
  async offset(): Promise<number | undefined> {
    if (this.location === undefined) return undefined;
    const response = await this.client.fetch(this.location);
    if (response.status !== 204) return undefined;
    const last = Number(response.headers.get('range')?.split('-')[1]);
    return last === 0 ? 0 : last + 1;
  }

  /** Does what a client does that can resume, once. */
  async goOn(): Promise<Response> {
    const offset = await this.offset();
    if (offset === undefined) return this.post();
    const rest = this.bytes.subarray(offset);
    if (rest.length > 0) {
      const patched = await this.client.patch(await this.start(), rest, `${offset}-${this.bytes.length - 1}`);
      if (patched.status !== 202) return patched;
    }
    return this.put();
  }
}

interface Kind {
  readonly what: string;
  readonly bytes: number;
  /** What comes before the request that meets the failure. */
  readonly before?: (push: Push) => Promise<unknown>;
  readonly request: (push: Push) => Promise<Response>;
}

const KINDS: readonly Kind[] = [
  {
    what: 'a PATCH with a Content-Length',
    bytes: LARGE_BYTES,
    before: (p) => p.start(),
    request: (p) => p.patch(),
  },
  {
    what: 'a chunked PATCH',
    bytes: LARGE_BYTES,
    before: (p) => p.start(),
    request: (p) => p.patchChunked(),
  },
  {
    what: 'a PUT of a whole layer',
    bytes: LARGE_BYTES,
    before: (p) => p.start(),
    request: (p) => p.put(p.bytes),
  },
  { what: 'a POST of a whole layer', bytes: LARGE_BYTES, request: (p) => p.post() },
  {
    what: 'a PUT of a small blob',
    bytes: SMALL_BYTES,
    before: (p) => p.start(),
    request: (p) => p.put(p.bytes),
  },
  { what: 'a POST of a small blob', bytes: SMALL_BYTES, request: (p) => p.post() },
  {
    what: 'the end of an upload',
    bytes: LARGE_BYTES,
    before: (p) => p.patch(),
    request: (p) => p.put(),
  },
  {
    what: 'a PUT of the rest',
    bytes: LARGE_BYTES,
    before: (p) => p.patch(p.bytes.subarray(0, 2 * MIB)),
    request: (p) => p.put(p.bytes.subarray(2 * MIB)),
  },
];

/** The calls that fail, with the errors that they can have and the status that the client gets. */
const FAILURES = [
  { call: 'fdatasync', error: 'EIO', status: 500 },
  { call: 'fdatasync', error: 'ENOSPC', status: 507 },
  { call: 'pwrite64', error: 'EIO', status: 500 },
  { call: 'fsync', error: 'EIO', status: 500 },
  { call: 'rename', error: 'EIO', status: 500 },
  { call: 'mkdir', error: 'ENOSPC', status: 507 },
] as const;

const isIn = (directory: string, { args }: SystemCall) => args.includes(directory);

/**
 * A call of the file system fails, once, as Linux reports a lost write: once for each descriptor. What Berth
 * acknowledges must not rest on a later flush of bytes that the failed one has lost.
 */
describeWithStrace('when the disk fails once', () => {
  let berth: OwnBerth;
  let client: RegistryClient;
  let storage: string;
  let seed = 100;

  beforeAll(async () => {
    berth = await OwnBerth.start({
      UPLOAD_CHECKPOINT_BYTES: String(CHECKPOINT_BYTES),
      // So that a call that fails once fails once: strace counts the calls of each thread.
      UV_THREADPOOL_SIZE: '1',
    });
    client = new RegistryClient(berth.url);
    storage = join(berth.dataDir, 'storage');
  });
  afterAll(() => berth.dispose());

  const nextPush = ({ bytes }: Kind) => new Push(client, patternBytes(bytes, (seed += 1)));

  /** How often a request of this kind makes each call. */
  async function countCalls(kind: Kind): Promise<Map<string, number>> {
    const push = nextPush(kind);
    await kind.before?.(push);
    const trace = await SystemCallTrace.attach(berth.pid, { calls: FILE_CALLS });
    const response = await kind.request(push);
    const calls = (await trace.detach()).filter((call) => isIn(storage, call));
    expect(response.status).toBeLessThan(300);
    return new Map(FAILURES.map(({ call }) => [call, calls.filter(({ name }) => name === call).length]));
  }

  /** The row's offset, which the next process would continue from. */
  async function rowOffset(id: string): Promise<number> {
    const sql = `SELECT offset_bytes::int AS offset FROM uploads WHERE id = $1`;
    const [row] = await berth.query<{ offset: number }>(sql, [id]);
    return row?.offset ?? 0;
  }

  const keyOf = async (digest: string) => {
    const sql = `SELECT object_key AS key FROM blob_digests d JOIN blobs b ON b.id = d.blob_id
                  WHERE digest = $1`;
    return (await berth.query<{ key: string }>(sql, [digest]))[0]?.key;
  };

  /** Returns what is wrong with a push during which the nth such call failed. */
  async function problemsOf(kind: Kind, { call, error, status }: (typeof FAILURES)[number], nth: number) {
    const problems: string[] = [];
    const push = nextPush(kind);
    await kind.before?.(push);
    const offsetBefore = push.id === undefined ? 0 : await rowOffset(push.id);
    const inject = `${call}:error=${error}:when=${nth}`;
    const trace = await SystemCallTrace.attach(berth.pid, { calls: FILE_CALLS, inject });
    let response = await kind.request(push);
    const failed = response;
    const told = { at: Date.now() / 1000, offset: push.id === undefined ? 0 : await rowOffset(push.id) };
    const body = failed.status < 300 ? '' : await failed.text();
    for (let n = 1; n < MAX_ATTEMPTS && response.status !== 201; n += 1) response = await push.goOn();
    const committedAt = Date.now() / 1000;
    const calls = await trace.detach();
    if (!calls.some(({ isInjected }) => isInjected)) return undefined;

    if (failed.status >= 300) {
      if (failed.status !== status) problems.push(`status ${failed.status} instead of ${status}: ${body}`);
      const { errors } = JSON.parse(body) as { errors: { code: string; message: string }[] };
      if (errors.length !== 1 || errors[0]?.code !== 'UNKNOWN')
        problems.push(`not the spec's shape: ${body}`);
    }
    const cache = new PageCache(calls, told.at);
    const { id = 'none' } = push;
    // A commit that fails may have renamed the file.
    const places = [join('uploads', id), blobObjectKey(parseDigest(push.digest), id)];
    const written = Math.max(...places.map((path) => cache.durableBytes(join(storage, path), offsetBefore)));
    if (failed.status !== 201 && told.offset > written) {
      problems.push(`offset ${told.offset} was recorded, and ${written} bytes are durable`);
    }
    if (response.status !== 201) {
      return [...problems, `the client could not go on: ${response.status} ${await response.text()}`];
    }
    if (!(await client.blob(push.name, push.digest)).equals(push.bytes)) problems.push('wrong bytes');
    const blob = join(storage, (await keyOf(push.digest)) ?? '');
    const inTheEnd = new PageCache(calls, committedAt);
    const missing = kind.bytes - inTheEnd.durableBytes(blob, offsetBefore);
    if (missing > 0) problems.push(`a blob was acknowledged that lacks ${missing} bytes`);
    const unflushed = inTheEnd.unflushedEntries(blob);
    if (unflushed.length > 0) problems.push(`not durable: ${unflushed.join(', ')}`);
    return problems;
  }

  it.each(KINDS)('$what loses nothing, and the client can go on', async (kind) => {
    const counts = await countCalls(kind);
    const results: [string, string[]][] = [];
    for (const failure of FAILURES) {
      const count = counts.get(failure.call) ?? 0;
      for (const nth of new Set([1, count])) {
        if (nth === 0 || nth > count) continue;
        const problems = await problemsOf(kind, failure, nth);
        if (problems !== undefined) results.push([`${failure.error} of ${failure.call} ${nth}`, problems]);
      }
    }
    expect(results.filter(([, problems]) => problems.length > 0)).toEqual([]);
    expect(results.length).toBeGreaterThan(3);
  });
});

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { freshName } from '../support/fresh-name.js';
import { digestOf, RegistryClient, withDigest } from '../support/registry-client.js';
import { OwnBerth } from '../support/running-berth.js';
import { describeWithStrace, type SystemCall, SystemCallTrace } from '../support/system-calls.js';
import { until } from '../support/until.js';
import { patternBytes } from '../support/upload-probe.js';

/** What changes files and makes the changes durable. Of the others, the last one is before the commit. */
const CALLS = ['pwrite64', 'fdatasync', 'mkdir', 'rename', 'fsync', 'close'] as const;
const SMALL_BYTES = 4096;
const SETTINGS = {
  UPLOAD_LEASE_SECONDS: '2',
  // Strace counts the calls of each thread.
  UV_THREADPOOL_SIZE: '1',
};

/** Where a process is killed: at the nth call of that name. */
interface KillPoint {
  readonly call: string;
  readonly nth: number;
}

interface SmallPush {
  readonly bytes: Buffer;
  readonly digest: string;
  readonly location: string;
}

/**
 * A process is killed at each system call with which it stores a small blob. Whatever the call has done, what
 * was acknowledged is there. In the end the storage has the objects of the table `blobs`, and nothing else.
 */
describeWithStrace('a small push whose process is killed', () => {
  let berth: OwnBerth;
  const name = freshName('killed');
  const acknowledged: SmallPush[] = [];
  let seed = 500;

  beforeAll(async () => {
    berth = await OwnBerth.start(SETTINGS);
  });
  afterAll(() => berth.dispose());

  const client = () => new RegistryClient(berth.url);
  const storage = () => join(berth.dataDir, 'storage');

  async function begin(): Promise<SmallPush> {
    const bytes = patternBytes(SMALL_BYTES, (seed += 1));
    return { bytes, digest: digestOf(bytes), location: await client().startUpload(name) };
  }

  /** Sends the blob in one request, and returns the status, or undefined if there was no response. */
  async function send({ bytes, digest, location }: SmallPush, isPost: boolean): Promise<number | undefined> {
    const path = isPost ? `/v2/${name}/blobs/uploads/` : location;
    const init = { method: isPost ? 'POST' : 'PUT', body: new Uint8Array(bytes) };
    const response = await client()
      .fetch(withDigest(path, digest), init)
      .catch(() => undefined);
    return response?.status;
  }

  /** Every call on a file of the storage in a push that succeeds. */
  async function killPoints(isPost: boolean): Promise<KillPoint[]> {
    const push = await begin();
    const trace = await SystemCallTrace.attach(berth.pid, { calls: CALLS });
    expect(await send(push, isPost)).toBe(201);
    acknowledged.push(push);
    const counts = new Map<string, number>();
    const points: KillPoint[] = [];
    for (const call of await trace.detach()) {
      const nth = (counts.get(call.name) ?? 0) + 1;
      counts.set(call.name, nth);
      if (isInStorage(call)) points.push({ call: call.name, nth });
    }
    const last = points.findLastIndex(({ call }) => call === 'close');
    return points.filter(({ call }, index) => call !== 'close' || index === last);
  }

  const isInStorage = ({ args }: SystemCall) => args.includes(storage());

  /** Returns whether the process was killed. */
  async function pushAndKill({ call, nth }: KillPoint, isPost: boolean, repeats: boolean): Promise<boolean> {
    const push = await begin();
    const inject = `${call}:signal=KILL:when=${nth}`;
    const trace = await SystemCallTrace.attach(berth.pid, { calls: [call], inject });
    const status = await send(push, isPost);
    if (status !== undefined) {
      await trace.detach();
      expect(status).toBe(201);
      acknowledged.push(push);
      return false;
    }
    await trace.abandon();
    await berth.kill();
    await berth.startAgain();
    if (repeats) {
      // Until the lease of the process that was killed is known to be free.
      await until('the repeated request to succeed', async () => (await send(push, isPost)) === 201);
      acknowledged.push(push);
    }
    return true;
  }

  async function storedObjects(): Promise<string[]> {
    const entries = await readdir(join(storage(), 'blobs'), { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile());
    return files.map((entry) => join(entry.parentPath, entry.name).slice(storage().length + 1)).sort();
  }

  async function expectedObjects(): Promise<string[]> {
    const rows = await berth.query<{ key: string }>('SELECT object_key AS key FROM blobs');
    return rows.map(({ key }) => key).sort();
  }

  // Each call once, since a restart takes seconds.
  it.each([
    ['PUT, which the client repeats', 0],
    ['POST', 1],
  ])('(%s) loses nothing acknowledged', async (_, parity) => {
    const isPost = parity === 1;
    const all = await killPoints(isPost);
    expect(new Set(all.map(({ call }) => call))).toEqual(new Set(CALLS));
    const points = all.filter((__, index) => index % 2 === parity);
    let kills = 0;
    for (const point of points) {
      if (await pushAndKill(point, isPost, !isPost)) kills += 1;
    }
    // A call may not be made again: a directory is flushed once.
    expect(kills).toBeGreaterThan(points.length / 2);
    for (const { digest, bytes } of acknowledged)
      expect((await client().blob(name, digest)).equals(bytes)).toBe(true);
  });

  it('leaves no object without a row, and no file of an upload, once it is reaped', async () => {
    await berth.restart({ UPLOAD_TTL_SECONDS: '2' });
    await until('no upload to be left', async () => (await readdir(join(storage(), 'uploads'))).length === 0);
    const isClean = async () =>
      JSON.stringify(await storedObjects()) === JSON.stringify(await expectedObjects());
    await until('the objects of the table, and no others', isClean);
    for (const { digest, bytes } of acknowledged)
      expect((await client().blob(name, digest)).equals(bytes)).toBe(true);
  });
});

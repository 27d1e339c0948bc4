import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { BerthProcess } from '../support/berth-process.js';
import { useProcessBench, useTestDatabase } from '../support/set-up.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { SlowRequest } from '../support/slow-request.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import { until } from '../support/until.js';
import { patternBytes, UploadProbe } from '../support/upload-probe.js';

const MIB = 1024 * 1024;

/** A process is stopped for longer than its lease, and continued. */
describe('a Berth that was frozen in the middle of a PATCH', () => {
  const bench = useProcessBench({ keepProcesses: true });
  const database = useTestDatabase({ migrated: true });
  let frozen: BerthProcess;
  let urls: { frozen: string; other: string };
  let shared: string;
  const whole = patternBytes(4 * MIB, 11);

  const settings = (leaseSeconds: number) => ({
    DATABASE_URL: database.url,
    STORAGE_FILESYSTEM_ROOT: `${shared}/storage`,
    UPLOAD_CHECKPOINT_BYTES: String(MIB),
    UPLOAD_LEASE_SECONDS: String(leaseSeconds),
  });
  const start = (leaseSeconds: number) =>
    bench.start({ DATA_DIR: bench.newDataDir(), ...settings(leaseSeconds) });

  let other: TestBerth;
  beforeAll(async () => {
    shared = bench.newDataDir();
    frozen = start(2);
    other = await startTestBerth(settings(2));
    urls = { frozen: await frozen.url(), other: other.url };
  });
  afterAll(() => other.dispose());

  /** Stops a writer when some of its bytes are acknowledged, some only written, and some not yet received. */
  const freeze = async (probe: UploadProbe): Promise<{ patch: SlowRequest; acknowledged: number }> => {
    const patch = probe.patch(urls.frozen);
    await patch.send(whole.subarray(0, MIB + 300_000));
    await probe.bytesWritten(MIB + 300_000);
    const acknowledged = await probe.durable(urls.other, MIB - 64 * 1024);
    frozen.signal('SIGSTOP');
    await patch.send(Buffer.alloc(100_000, 'never acknowledged'));
    return { patch, acknowledged };
  };

  /** Continues the frozen process, which then writes the rest of its client's bytes. */
  const thaw = async (patch: SlowRequest) => {
    frozen.signal('SIGCONT');
    void patch.send(Buffer.alloc(2 * MIB, 'never acknowledged')).catch(() => undefined);
    expect(await patch.status).toBe(429);
  };

  it('changes neither acknowledged bytes nor those of its successor', async () => {
    const probe = await UploadProbe.begin(urls.other, shared);
    const { patch, acknowledged } = await freeze(probe);
    // This request waits for the lease to lapse.
    const middle = 3 * MIB;
    expect(await probe.append(urls.other, acknowledged, whole.subarray(acknowledged, middle))).toBe(202);
    await thaw(patch);
    expect(await probe.offset(urls.frozen)).toBe(middle);
    expect(await probe.finish(urls.other, whole)).toBe(digestOf(whole));
  });

  it('does not change a blob that was committed meanwhile, and leaves no file', async () => {
    const probe = await UploadProbe.begin(urls.other, shared, 'committed/meanwhile');
    const { patch, acknowledged } = await freeze(probe);
    expect(await probe.append(urls.other, acknowledged, whole.subarray(acknowledged))).toBe(202);
    const client = new RegistryClient(urls.other);
    const digest = digestOf(whole);
    expect((await client.commit(probe.location, digest)).status).toBe(201);
    await thaw(patch);
    expect((await client.blob('committed/meanwhile', digest)).equals(whole)).toBe(true);
    const folder = join(shared, 'storage/blobs/sha256', digest.slice(7, 9), digest.slice(7));
    const [object, ...others] = await readdir(folder);
    expect(others).toEqual([]);
    expect((await stat(join(folder, String(object)))).size).toBe(whole.length);
    await until('the frozen writer’s file to be gone', async () => {
      return (await readdir(join(shared, 'storage/uploads'))).length === 0;
    });
  });

  describe('whose client asks to take its upload over', () => {
    const send = (path: string, method: string, headers: Record<string, string>, body?: Uint8Array) =>
      fetch(new URL(path, urls.other), {
        method,
        headers: { Prefer: 'upload-takeover', ...headers },
        ...(body && { body }),
      });
    beforeAll(async () => {
      await frozen.kill();
      // Longer than any request waits: without the takeover, each of these would get 429.
      frozen = start(300);
      urls.frozen = await frozen.url();
    });

    it('loses it to a PATCH, and a late request changes nothing', async () => {
      const probe = await UploadProbe.begin(urls.other, shared);
      const { patch, acknowledged } = await freeze(probe);
      const late = new SlowRequest('PATCH', new URL(probe.location, urls.frozen), {
        'Upload-Offset': String(acknowledged),
      });
      await late.send(whole.subarray(acknowledged));
      late.end();
      const stated = { 'Upload-Offset': String(acknowledged) };
      const middle = 3 * MIB;
      const taken = await send(probe.location, 'PATCH', stated, whole.subarray(acknowledged, middle));
      expect(taken.status).toBe(202);
      await thaw(patch);
      expect(await late.status).toBe(416);
      expect(await probe.offset(urls.frozen)).toBe(middle);
      expect(await probe.finish(urls.other, whole)).toBe(digestOf(whole));
    });

    it('loses it to a PUT', async () => {
      const probe = await UploadProbe.begin(urls.other, shared, 'taken/over');
      const { patch, acknowledged } = await freeze(probe);
      const bytes = whole.subarray(0, acknowledged);
      const digest = digestOf(bytes);
      expect((await send(`${probe.location}?digest=${digest}`, 'PUT', {})).status).toBe(201);
      await thaw(patch);
      expect((await new RegistryClient(urls.other).blob('taken/over', digest)).equals(bytes)).toBe(true);
    });

    it('loses it to a DELETE', async () => {
      const probe = await UploadProbe.begin(urls.other, shared);
      const { patch } = await freeze(probe);
      expect((await send(probe.location, 'DELETE', {})).status).toBe(204);
      await thaw(patch);
      expect((await fetch(new URL(probe.location, urls.frozen))).status).toBe(404);
    });
  });

  // The lease is that of the tests before.
  it('releases its upload at once when it is killed, before its lease expires', async () => {
    const probe = await UploadProbe.begin(urls.other, shared);
    const { acknowledged } = await freeze(probe);
    await frozen.kill();
    expect(await probe.append(urls.other, acknowledged, whole.subarray(acknowledged))).toBe(202);
    expect(await probe.finish(urls.other, whole)).toBe(digestOf(whole));
  });
});

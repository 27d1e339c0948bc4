import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { BerthProcess } from '../support/berth-process.js';
import { ProcessBench } from '../support/process-bench.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import type { SlowRequest } from '../support/slow-request.js';
import { createTestDatabase, type TestDatabase } from '../support/test-postgres.js';
import { until } from '../support/until.js';
import { patternBytes, UploadProbe } from '../support/upload-probe.js';

const MIB = 1024 * 1024;

/** A real process is really stopped, for longer than its lease, and goes on. */
describe('a Berth that was frozen in the middle of a PATCH', () => {
  let bench: ProcessBench;
  let database: TestDatabase;
  let frozen: BerthProcess;
  let urls: { frozen: string; other: string };
  let shared: string;
  const whole = patternBytes(4 * MIB, 11);

  beforeAll(async () => void (bench = await ProcessBench.open()));
  beforeEach(async () => void (database = await createTestDatabase()));
  afterEach(() => bench.clear().finally(() => database.drop()));
  afterAll(() => bench.dispose());

  const startTwo = async (leaseSeconds = 2) => {
    shared = bench.newDataDir();
    const settings = {
      DATABASE_URL: database.url,
      STORAGE_FILESYSTEM_ROOT: `${shared}/storage`,
      UPLOAD_CHECKPOINT_BYTES: String(MIB),
      UPLOAD_LEASE_SECONDS: String(leaseSeconds),
    };
    const start = () => bench.start({ ...settings, DATA_DIR: bench.newDataDir() });
    frozen = start();
    urls = { frozen: await frozen.url(), other: await start().url() };
  };

  /** Brings a writer to a stop: some of its bytes acknowledged, some written, more of them on their way to it. */
  const freeze = async (probe: UploadProbe): Promise<{ patch: SlowRequest; acknowledged: number }> => {
    const patch = probe.patch(urls.frozen);
    await patch.send(whole.subarray(0, MIB + 300_000));
    await probe.bytesWritten(MIB + 300_000);
    const acknowledged = await probe.durable(urls.other, MIB - 64 * 1024);
    frozen.signal('SIGSTOP');
    await patch.send(Buffer.alloc(100_000, 'what nobody acknowledged'));
    return { patch, acknowledged };
  };

  /** The frozen process goes on, and writes all that its client has for it. */
  const thaw = async (patch: SlowRequest) => {
    frozen.signal('SIGCONT');
    void patch.send(Buffer.alloc(2 * MIB, 'what nobody acknowledged')).catch(() => undefined);
    expect(await patch.status).toBe(429);
  };

  it('changes nothing: neither what was acknowledged, nor what its successor writes', async () => {
    await startTwo();
    const probe = await UploadProbe.begin(urls.other, shared);
    const { patch, acknowledged } = await freeze(probe);
    // Waits for the lease to lapse, and has the upload then.
    const middle = 3 * MIB;
    expect(await probe.append(urls.other, acknowledged, whole.subarray(acknowledged, middle))).toBe(202);
    await thaw(patch);
    expect(await probe.offset(urls.frozen)).toBe(middle);
    expect(await probe.finish(urls.other, whole)).toBe(digestOf(whole));
  });

  it('changes nothing of a blob that was committed meanwhile, and leaves nothing behind', async () => {
    await startTwo();
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

  it('that is killed gives way at once, not only when its lease lapses', async () => {
    // Longer than any request waits.
    await startTwo(300);
    const probe = await UploadProbe.begin(urls.other, shared);
    const { acknowledged } = await freeze(probe);
    await frozen.kill();
    expect(await probe.append(urls.other, acknowledged, whole.subarray(acknowledged))).toBe(202);
    expect(await probe.finish(urls.other, whole)).toBe(digestOf(whole));
  });
});

import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  expectPostgresGone,
  isListening,
  isPostgresOf,
  postmasterPid,
  ProcessBench,
} from '../support/process-bench.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { patternBytes, UploadProbe } from '../support/upload-probe.js';

const MIB = 1024 * 1024;
const SETTINGS = { UPLOAD_CHECKPOINT_BYTES: String(MIB) };

let bench: ProcessBench;
beforeAll(async () => void (bench = await ProcessBench.open()));
afterEach(() => bench.clear());
afterAll(() => bench.dispose());

describe('after kill -9', () => {
  it('the next start takes over from the orphaned Postgres and has the data', async () => {
    const dataDir = bench.newDataDir();
    const first = bench.start({ DATA_DIR: dataDir });
    const client = new RegistryClient(await first.url());
    const pushed = await client.putManifest('kept', 'v1', await client.makeImage('kept'));
    const orphan = postmasterPid(dataDir) ?? 0;
    await first.kill();
    expect(isPostgresOf(orphan, dataDir)).toBe(true);
    const second = new RegistryClient(await bench.start({ DATA_DIR: dataDir }).url());
    const pulled = await second.fetch('/v2/kept/manifests/v1');
    expect(pulled.headers.get('docker-content-digest')).toBe(pushed.headers.get('docker-content-digest'));
    expect(isPostgresOf(orphan, dataDir)).toBe(false);
    expect(postmasterPid(dataDir)).not.toBe(orphan);
  });
});

describe('an upload during which Berth is killed', () => {
  const whole = patternBytes(5 * MIB);

  it('in the middle of a chunk keeps at least what a client was told, and continues', async () => {
    const settings = { ...SETTINGS, DATA_DIR: bench.newDataDir() };
    const first = bench.start(settings);
    const url = await first.url();
    const upload = await UploadProbe.begin(url, settings.DATA_DIR);
    const patch = upload.patch(url);
    const sent = 3 * MIB + 54_321;
    await patch.send(whole.subarray(0, sent));
    await upload.bytesWritten(sent);
    const told = await upload.durable(url, 2 * MIB);
    await first.kill();
    expect(await patch.status).toBeUndefined();
    const next = await bench.start(settings).url();
    const offset = await upload.offset(next);
    expect(offset).toBeGreaterThanOrEqual(told);
    // What was written after the last checkpoint is nobody's: it is sent again.
    expect(offset).toBeLessThan(sent);
    expect(await upload.finish(next, whole)).toBe(digestOf(whole));
  });
});

describe('when Postgres is killed while Berth serves', () => {
  it('Berth says so and ends', async () => {
    const dataDir = bench.newDataDir();
    const berth = bench.start({ DATA_DIR: dataDir });
    const url = await berth.url();
    process.kill(postmasterPid(dataDir) ?? 0, 'SIGKILL');
    const { code, stdout, stderr } = await berth.ended();
    expect(code).toBe(1);
    expect(stdout + stderr).toMatch(/PostgreSQL ended unexpectedly: [^\n]+\./);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(await isListening(url)).toBe(false);
    await expectPostgresGone(dataDir);
  });
});

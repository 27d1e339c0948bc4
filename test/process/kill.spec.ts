import { beforeAll, describe, expect, it } from '@jest/globals';
import type { BerthProcess } from '../support/berth-process.js';
import { expectPostgresGone, isListening, isPostgresOf, postmasterPid } from '../support/process-bench.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { useProcessBench } from '../support/set-up.js';
import { patternBytes, UploadProbe } from '../support/upload-probe.js';

const MIB = 1024 * 1024;

/** One data directory for all tests, which run in this order. Other kills are in test/long. */
describe('kill -9', () => {
  const bench = useProcessBench({ keepProcesses: true });
  let settings: Record<string, string> & { DATA_DIR: string };
  let next: BerthProcess;
  const whole = patternBytes(5 * MIB);
  const sent = 3 * MIB + 54_321;

  beforeAll(() => {
    settings = { DATA_DIR: bench.newDataDir(), UPLOAD_CHECKPOINT_BYTES: String(MIB) };
  });

  let upload: UploadProbe;
  let acknowledged: number;

  it('of Berth in the middle of a chunk leaves a Postgres that the next start replaces', async () => {
    const first = bench.start(settings);
    const url = await first.url();
    const client = new RegistryClient(url);
    const pushed = await client.putManifest('kept', 'v1', await client.makeImage('kept'));
    upload = await UploadProbe.begin(url, settings.DATA_DIR);
    const patch = upload.patch(url);
    await patch.send(whole.subarray(0, sent));
    await upload.bytesWritten(sent);
    acknowledged = await upload.durable(url, 2 * MIB);
    const orphan = postmasterPid(settings.DATA_DIR) ?? 0;
    await first.kill();
    expect(await patch.status).toBeUndefined();
    expect(isPostgresOf(orphan, settings.DATA_DIR)).toBe(true);

    next = bench.start(settings);
    const pulled = await new RegistryClient(await next.url()).fetch('/v2/kept/manifests/v1');
    expect(pulled.headers.get('docker-content-digest')).toBe(pushed.headers.get('docker-content-digest'));
    expect(isPostgresOf(orphan, settings.DATA_DIR)).toBe(false);
    expect(postmasterPid(settings.DATA_DIR)).not.toBe(orphan);
  });

  it('of Berth keeps the acknowledged bytes of an upload, which resumes', async () => {
    const url = await next.url();
    const offset = await upload.offset(url);
    expect(offset).toBeGreaterThanOrEqual(acknowledged);
    // The client sends again what was written after the last checkpoint.
    expect(offset).toBeLessThan(sent);
    expect(await upload.finish(url, whole)).toBe(digestOf(whole));
  });

  it('of Postgres ends Berth, which reports it', async () => {
    const url = await next.url();
    process.kill(postmasterPid(settings.DATA_DIR) ?? 0, 'SIGKILL');
    const { code, stdout, stderr } = await next.ended();
    expect(code).toBe(1);
    expect(stdout + stderr).toMatch(/PostgreSQL ended unexpectedly: [^\n]+\./);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(await isListening(url)).toBe(false);
    await expectPostgresGone(settings.DATA_DIR);
  });
});

import { describe, expect, it } from '@jest/globals';
import { expectPostgresGone, isListening, postmasterPid } from '../support/process-bench.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { useProcessBench } from '../support/set-up.js';
import { patternBytes, UploadProbe } from '../support/upload-probe.js';

const MIB = 1024 * 1024;
const SETTINGS = { UPLOAD_CHECKPOINT_BYTES: String(MIB) };

const bench = useProcessBench();

describe('after kill -9', () => {
  it('of Berth and of Postgres, the next start has the data', async () => {
    const dataDir = bench.newDataDir();
    const first = bench.start({ DATA_DIR: dataDir });
    const client = new RegistryClient(await first.url());
    await client.putManifest('kept', 'v1', await client.makeImage('kept'));
    const orphan = postmasterPid(dataDir) ?? 0;
    await first.kill();
    process.kill(orphan, 'SIGKILL');
    const second = new RegistryClient(await bench.start({ DATA_DIR: dataDir }).url());
    expect((await second.fetch('/v2/kept/manifests/v1')).status).toBe(200);
  });

  it('at any stage of a start, the next start serves', async () => {
    const dataDir = bench.newDataDir();
    for (const stage of [/Creating the database cluster/, /ready to accept connections/, /started: ready/]) {
      const berth = bench.start({ DATA_DIR: dataDir, LOG_LEVEL: 'debug' });
      await berth.printed(stage, 60_000);
      await berth.kill();
    }
    const url = await bench.start({ DATA_DIR: dataDir }).url();
    expect((await fetch(`${url}/v2/`)).status).toBe(200);
  });
});

describe('an upload during which Berth is killed', () => {
  const whole = patternBytes(5 * MIB);

  it('between two chunks continues where it was', async () => {
    const settings = { ...SETTINGS, DATA_DIR: bench.newDataDir() };
    const first = bench.start(settings);
    const url = await first.url();
    const upload = await UploadProbe.begin(url, settings.DATA_DIR);
    const chunk = 2 * MIB + 12_345;
    expect(await upload.append(url, 0, whole.subarray(0, chunk))).toBe(202);
    await first.kill();
    const next = await bench.start(settings).url();
    expect(await upload.offset(next)).toBe(chunk);
    expect(await upload.finish(next, whole)).toBe(digestOf(whole));
  });

  it('several times reaches the right digest', async () => {
    const settings = { ...SETTINGS, DATA_DIR: bench.newDataDir() };
    let berth = bench.start(settings);
    let url = await berth.url();
    const upload = await UploadProbe.begin(url, settings.DATA_DIR);
    for (const goal of [1, 3, 4]) {
      const from = await upload.offset(url);
      const patch = upload.patch(url);
      await patch.send(whole.subarray(from, goal * MIB + 99_999));
      await upload.durable(url, goal * MIB);
      await berth.kill();
      await patch.status;
      berth = bench.start(settings);
      url = await berth.url();
      expect(await upload.offset(url)).toBeGreaterThanOrEqual(goal * MIB);
    }
    expect(await upload.finish(url, whole)).toBe(digestOf(whole));
  });
});

describe('when Postgres is killed while Berth serves', () => {
  it.each(['SIGQUIT', 'SIGINT'] as const)('(%s) Berth reports it and ends', async (signal) => {
    const dataDir = bench.newDataDir();
    const berth = bench.start({ DATA_DIR: dataDir });
    const url = await berth.url();
    process.kill(postmasterPid(dataDir) ?? 0, signal);
    const { code, stdout, stderr } = await berth.ended();
    expect(code).toBe(1);
    expect(stdout + stderr).toMatch(/PostgreSQL ended unexpectedly: [^\n]+\./);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(await isListening(url)).toBe(false);
    await expectPostgresGone(dataDir);
  });
});

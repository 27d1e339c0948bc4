import { describe, expect, it } from '@jest/globals';
import type { BerthProcess } from '../support/berth-process.js';
import { CLEAN_EXIT, expectPostgresGone, stopped } from '../support/process-bench.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { useProcessBench } from '../support/set-up.js';
import { SlowRequest } from '../support/slow-request.js';
import { until } from '../support/until.js';
import { patternBytes, UploadProbe } from '../support/upload-probe.js';

const MIB = 1024 * 1024;

const bench = useProcessBench();
let dataDir: string;

const STOPS: [string, (berth: BerthProcess) => void][] = [
  ['SIGTERM', (berth) => berth.signal('SIGTERM')],
  ['SIGINT', (berth) => berth.signal('SIGINT')],
  ['Ctrl-C: SIGINT to the process group', (berth) => berth.signalGroup('SIGINT')],
];

describe('a stop', () => {
  it.each(STOPS)('by %s is clean', async (_, stop) => {
    dataDir = bench.newDataDir();
    const berth = bench.start({ DATA_DIR: dataDir });
    expect(await stopped(berth, dataDir, () => stop(berth))).toMatchObject(CLEAN_EXIT);
  });

  it.each([
    ['SIGTERM', 'the cluster is made', /Creating the database cluster/],
    ['SIGINT', 'the cluster is made', /Creating the database cluster/],
    ['SIGTERM', 'Postgres was started', /ready to accept connections/],
    ['SIGINT', 'Postgres was started', /ready to accept connections/],
  ] as const)('by %s while %s leaves nothing running', async (signal, _, line) => {
    dataDir = bench.newDataDir();
    const berth = bench.start({ DATA_DIR: dataDir, LOG_LEVEL: 'debug' });
    await berth.printed(line, 30_000);
    berth.signalGroup(signal);
    expect(await berth.ended()).toMatchObject(CLEAN_EXIT);
    await expectPostgresGone(dataDir);
    const url = await bench.start({ DATA_DIR: dataDir }).url();
    expect((await fetch(`${url}/v2/`)).status).toBe(200);
  });

  it('waits no longer than the grace period for an unfinished request', async () => {
    dataDir = bench.newDataDir();
    const berth = bench.start({ DATA_DIR: dataDir, SHUTDOWN_GRACE_SECONDS: '1' });
    const headers = { 'Content-Length': '100', 'Content-Type': 'application/json' };
    const url = await berth.url();
    const slow = new SlowRequest('PUT', new URL('/v2/slow/manifests/v1', url), headers);
    await slow.send(Buffer.from('{'));
    await new RegistryClient(url).fetch('/v2/');
    expect(await stopped(berth, dataDir, () => berth.signal('SIGTERM'))).toMatchObject(CLEAN_EXIT);
    await slow.status;
  });
});

describe('a stop in the middle of uploads', () => {
  it('waits for one that moves, also longer than for one that stalled', async () => {
    dataDir = bench.newDataDir();
    const berth = bench.start({ DATA_DIR: dataDir });
    const url = await berth.url();
    const whole = patternBytes(MIB);
    const [stalled, moving] = [await UploadProbe.begin(url, dataDir), await UploadProbe.begin(url, dataDir)];
    const [stalledPatch, movingPatch] = [stalled.patch(url), moving.patch(url)];
    for (const patch of [stalledPatch, movingPatch]) await patch.send(whole.subarray(0, 1000));
    await moving.bytesWritten(1000);
    await stalled.bytesWritten(1000);
    berth.signal('SIGTERM');
    await berth.printed(/stopping \(SIGTERM\): waits up to 300 s for 2 requests, 2 uploads/, 30_000);
    // Longer than a request may stall.
    const end = performance.now() + 12_000;
    let sent = 1000;
    while (performance.now() < end) {
      await movingPatch.send(whole.subarray(sent, (sent += 1000)));
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    await movingPatch.send(whole.subarray(sent));
    movingPatch.end();
    expect(await movingPatch.status).toBe(202);
    expect(await berth.ended()).toMatchObject(CLEAN_EXIT);
    expect([undefined, 503]).toContain(await stalledPatch.status);
    expect(berth.log(/keeps/)).toMatchObject([
      { msg: 'no request makes progress: 1 upload keeps what arrived and can be resumed' },
    ]);
    const next = await bench.start({ DATA_DIR: dataDir }).url();
    expect(await stalled.offset(next)).toBe(1000);
    expect(await moving.finish(next, whole)).toBe(digestOf(whole));
  });

  it('waits for 5 s after Ctrl-C, also for one that moves', async () => {
    dataDir = bench.newDataDir();
    const berth = bench.start({ DATA_DIR: dataDir });
    const url = await berth.url();
    const upload = await UploadProbe.begin(url, dataDir);
    const patch = upload.patch(url);
    const sending = setInterval(() => void patch.send(patternBytes(1000)), 100);
    await until('bytes in storage', async () => (await upload.written()) > 0);
    berth.signal('SIGINT');
    expect(await berth.ended()).toMatchObject(CLEAN_EXIT);
    clearInterval(sending);
    expect(berth.log(/^stopping|grace/).map(({ msg }) => msg)).toEqual([
      'stopping (SIGINT): waits up to 5 s for 1 request, 1 upload',
      'the 5 s of grace are over: 1 upload keeps what arrived and can be resumed',
    ]);
  });

  it('keeps every received byte', async () => {
    dataDir = bench.newDataDir();
    const settings = {
      DATA_DIR: dataDir,
      UPLOAD_CHECKPOINT_BYTES: String(64 * MIB),
      SHUTDOWN_GRACE_SECONDS: '0',
    };
    const berth = bench.start(settings);
    const url = await berth.url();
    const whole = patternBytes(3 * MIB);
    const upload = await UploadProbe.begin(url, dataDir);
    const patch = upload.patch(url);
    const sent = 2 * MIB + 777;
    await patch.send(whole.subarray(0, sent));
    await upload.bytesWritten(sent);
    expect(await upload.offset(url)).toBe(0);
    expect(await stopped(berth, dataDir, () => berth.signal('SIGTERM'))).toMatchObject(CLEAN_EXIT);
    expect([undefined, 503]).toContain(await patch.status);
    const next = await bench.start(settings).url();
    expect(await upload.offset(next)).toBe(sent);
    expect(await upload.finish(next, whole)).toBe(digestOf(whole));
  });
});

import { beforeAll, describe, expect, it } from '@jest/globals';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { BerthProcess } from '../support/berth-process.js';
import { CLEAN_EXIT, expectPostgresGone, isListening } from '../support/process-bench.js';
import { eventually } from '../support/process-tree.js';
import { digestOf } from '../support/registry-client.js';
import { useProcessBench } from '../support/set-up.js';
import { SlowRequest } from '../support/slow-request.js';
import { patternBytes, UploadProbe } from '../support/upload-probe.js';

const MIB = 1024 * 1024;

/** One data directory for all tests, which run in this order. */
const bench = useProcessBench({ keepProcesses: true });
let dataDir: string;
/** The Berth that the first test leaves. */
let next: BerthProcess;
beforeAll(() => void (dataDir = bench.newDataDir()));

describe('a stop in the middle of uploads', () => {
  it('lets requests finish within the grace period, and keeps the bytes of the others', async () => {
    const berth = bench.start({
      ...{ DATA_DIR: dataDir, SHUTDOWN_GRACE_SECONDS: '5' },
      UPLOAD_CHECKPOINT_BYTES: String(64 * MIB),
    });
    const url = await berth.url();
    const sent = 100_000;
    const uploads = await Promise.all(
      Array.from({ length: 20 }, async (_, seed) => {
        const whole = patternBytes(2 * sent, seed);
        const probe = await UploadProbe.begin(url, dataDir, `many/${seed}`);
        // Every fourth request is a closing PUT; those with odd numbers stall.
        const put = new URL(`${probe.location}?digest=${digestOf(whole)}`, url);
        const request = seed % 4 === 0 ? new SlowRequest('PUT', put) : probe.patch(url);
        await request.send(whole.subarray(0, sent));
        return { seed, whole, probe, request };
      }),
    );
    await bytesStored(dataDir, uploads.length * sent);
    berth.signal('SIGTERM');
    while (await isListening(url)) await new Promise((resolve) => setImmediate(resolve));

    const finishing = uploads.filter(({ seed }) => seed % 2 === 0);
    for (const { whole, request } of finishing) {
      await request.send(whole.subarray(sent));
      request.end();
    }
    for (const { seed, request } of finishing) {
      expect([seed, await request.status]).toEqual([seed, seed % 4 === 0 ? 201 : 202]);
    }
    expect(await berth.ended()).toMatchObject(CLEAN_EXIT);
    expect(berth.log(/^stop|grace/)).toMatchObject([
      {
        msg: 'stopping (SIGTERM): waits up to 5 s for 20 requests, 20 uploads',
        stop: { requests: 20, uploads: 20 },
      },
      { msg: expect.stringMatching(/^the 5 s of grace are over: \d+ uploads? keeps? /) },
      { stop: { exitCode: 0 } },
    ]);
    const stalled = uploads.filter(({ seed }) => seed % 2 === 1);
    for (const { request } of stalled) expect([undefined, 503]).toContain(await request.status);

    next = bench.start({ DATA_DIR: dataDir, SHUTDOWN_GRACE_SECONDS: '3600' });
    const nextUrl = await next.url();
    for (const { seed, whole, probe } of uploads) {
      if (seed % 4 !== 0)
        expect([seed, await probe.offset(nextUrl)]).toEqual([seed, seed % 2 === 0 ? 2 * sent : sent]);
      expect(await probe.finish(nextUrl, whole)).toBe(digestOf(whole));
    }
  });
});

describe('a second signal', () => {
  it('cuts off what the first one waits for, and says so', async () => {
    const berth = next;
    const url = await berth.url();
    const patch = (await UploadProbe.begin(url, dataDir)).patch(url);
    await patch.send(patternBytes(100_000));
    await bytesStored(dataDir, 100_000);
    berth.signal('SIGTERM');
    await berth.printed(/stopping \(SIGTERM\): waits up to 3600 s for 1 request, 1 upload"/, 30_000);
    // Within a second of the first, it would count as the same Ctrl-C.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    berth.signal('SIGINT');
    expect(await berth.ended()).toMatchObject({ code: 1, signal: null });
    expect(berth.log(/second signal/)).toMatchObject([
      { level: 40, msg: 'stopping at once (second signal, SIGINT): requests in progress are cut off' },
    ]);
    await patch.status;
    await expectPostgresGone(dataDir);
  });
});

/** Waits until the storage has this many bytes of uploads, acknowledged or not. */
async function bytesStored(root: string, expected: number): Promise<void> {
  const directory = join(root, 'storage/uploads');
  await eventually(`${expected} bytes in storage`, async () => {
    const names = await readdir(directory);
    const sizes = await Promise.all(names.map(async (name) => (await stat(join(directory, name))).size));
    return sizes.reduce((sum, size) => sum + size, 0) === expected || undefined;
  });
}

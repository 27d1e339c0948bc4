import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { BerthProcess } from '../support/berth-process.js';
import { expectPostgresGone, isListening, ProcessBench } from '../support/process-bench.js';
import { eventually, isAlive } from '../support/process-tree.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { patternBytes, UploadProbe } from '../support/upload-probe.js';
import { fullPool, servedBy, WORKER_SETTINGS, WORKERS, writerIn } from '../support/worker-pool.js';

const MIB = 1024 * 1024;

// Parents and children of processes are read from /proc.
const onLinux = process.platform === 'linux' ? describe : describe.skip;

/** One registry for all tests, which run in this order. Everything else about workers is in test/long. */
onLinux('workers over the embedded database', () => {
  let bench: ProcessBench;
  let berth: BerthProcess;
  let url: string;
  let settings: Record<string, string> & { DATA_DIR: string };

  beforeAll(async () => {
    bench = await ProcessBench.open();
    settings = { ...WORKER_SETTINGS, DATA_DIR: bench.newDataDir(), UPLOAD_CHECKPOINT_BYTES: String(MIB) };
    berth = bench.start(settings);
    url = await berth.url();
  });
  afterAll(() => bench.dispose());

  it('serve one registry on one address', async () => {
    expect(berth.stdout).toContain(`\n  workers   ${WORKERS}\n`);
    expect(berth.stdout.match(/^Berth /gm)).toHaveLength(1);
    await servedBy(berth, url, await fullPool(berth));
    const client = new RegistryClient(url);
    expect((await client.putManifest('one', 'v1', await client.makeImage('one'))).status).toBe(201);
    for (let n = 0; n < 2 * WORKERS; n += 1) {
      const pulled = await client.fetch('/v2/one/manifests/v1', { headers: { Connection: 'close' } });
      expect(pulled.status).toBe(200);
      await pulled.arrayBuffer();
    }
  });

  it('append the chunks of an upload in turns', async () => {
    const whole = patternBytes(MIB);
    const upload = await UploadProbe.begin(url, settings.DATA_DIR);
    for (let start = 0; start < whole.length; start += 77_777) {
      const patch = upload.patch(url);
      await patch.send(whole.subarray(start, start + 77_777));
      patch.end();
      expect(await patch.status).toBe(202);
    }
    expect(await upload.finish(url, whole)).toBe(digestOf(whole));
  });

  it('are replaced when one is killed, and its uploads resume at once', async () => {
    const before = await fullPool(berth);
    const whole = patternBytes(4 * MIB);
    const upload = await UploadProbe.begin(url, settings.DATA_DIR);
    const patch = upload.patch(url);
    await patch.send(whole.subarray(0, 3 * MIB + 4_321));
    const durable = await upload.durable(url, 2 * MIB);
    const writer = await writerIn(settings.DATA_DIR, before);
    process.kill(writer, 'SIGKILL');
    expect(await patch.status).toBeUndefined();
    const after = await eventually('a new worker', async () => {
      const workers = await fullPool(berth);
      return workers.includes(writer) ? undefined : workers;
    });
    expect(after.filter((pid) => before.includes(pid))).toHaveLength(WORKERS - 1);
    const offset = await upload.offset(url);
    expect(offset).toBeGreaterThanOrEqual(durable);
    expect(await upload.append(url, offset, whole.subarray(offset))).toBe(202);
    // The file is continued: only the successor of a writer that may still be alive starts another file.
    expect(await readdir(join(settings.DATA_DIR, 'storage/uploads'))).toHaveLength(1);
    expect(await upload.finish(url, whole)).toBe(digestOf(whole));
    await servedBy(berth, url, after);
  });

  it('all end on SIGTERM', async () => {
    const workers = await fullPool(berth);
    berth.signal('SIGTERM');
    expect(await berth.ended()).toMatchObject({ code: 0, signal: null, stderr: '' });
    expect(workers.filter(isAlive)).toEqual([]);
    expect(await isListening(url)).toBe(false);
    await expectPostgresGone(settings.DATA_DIR, 0);
  });
});

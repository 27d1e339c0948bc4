import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually, isAlive, workersOf } from '../support/process-tree.js';
import { digestOf } from '../support/registry-client.js';
import { OwnBerth, startFront } from '../support/running-berth.js';
import { patternBytes, UploadProbe } from '../support/upload-probe.js';
import { writerIn } from '../support/worker-pool.js';

const MIB = 1024 * 1024;

describe('a front whose replica has two workers', () => {
  let replica: OwnBerth;
  let front: OwnBerth;
  beforeAll(async () => {
    replica = await OwnBerth.start({ WORKERS: '2', UPLOAD_CHECKPOINT_BYTES: String(MIB) });
    front = await startFront([replica.url]);
  });
  afterAll(() => Promise.all([front, replica].map((each) => each.dispose())));

  it('goes on with an upload when the worker that has it freezes: the primary kills that', async () => {
    const whole = patternBytes(5 * MIB);
    const upload = await UploadProbe.begin(front.url, replica.dataDir);
    const patch = upload.patch(front.url);
    await patch.send(whole.subarray(0, 2 * MIB));
    await upload.durable(front.url, 2 * MIB);
    const writer = await writerIn(replica.dataDir, workersOf(replica.pid));
    process.kill(writer, 'SIGSTOP');
    await patch.send(whole.subarray(2 * MIB));
    patch.end();
    expect(await patch.status).toBe(202);
    expect(await upload.finish(front.url, whole)).toBe(digestOf(whole));
    await eventually('the end of the worker', () => !isAlive(writer) || undefined);
    const lines = replica.log().filter(({ msg }) => msg === 'a worker has not responded for 10 s: killed');
    expect(lines).toMatchObject([{ worker: writer }]);
  });
});

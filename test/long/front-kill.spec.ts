import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { digestOf } from '../support/registry-client.js';
import { OwnBerth, startFront } from '../support/running-berth.js';
import { patternBytes, UploadProbe } from '../support/upload-probe.js';
import { until } from '../support/until.js';

const MIB = 1024 * 1024;

describe('a front that is killed in the middle of an upload', () => {
  let replica: OwnBerth;
  let killed: OwnBerth;
  let other: OwnBerth;
  beforeAll(async () => {
    replica = await OwnBerth.start({ UPLOAD_CHECKPOINT_BYTES: String(MIB) });
    [killed, other] = [await startFront([replica.url]), await startFront([replica.url])];
  });
  afterAll(() => Promise.all([killed, other, replica].map((each) => each.dispose())));

  it('breaks the connection, and the upload goes on through another front', async () => {
    const whole = patternBytes(5 * MIB);
    const upload = await UploadProbe.begin(killed.url, replica.dataDir);
    const patch = upload.patch(killed.url);
    await patch.send(whole.subarray(0, 3 * MIB + 99_999));
    const durable = await upload.durable(other.url, 3 * MIB);

    // Its primary and its worker.
    process.kill(-killed.pid, 'SIGKILL');
    expect(await patch.status).toBeUndefined();

    // The replica keeps the rest of what arrived, too.
    const isAtRest = async () => {
      const rows = await replica.query<{ lease_holder: string | null }>('SELECT lease_holder FROM uploads');
      return rows.length === 1 && rows[0]?.lease_holder === null;
    };
    await until('the end of the request at the replica', isAtRest);
    expect(await upload.offset(other.url)).toBeGreaterThanOrEqual(durable);
    expect(await upload.finish(other.url, whole)).toBe(digestOf(whole));
  });
});

import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { freshName } from '../support/fresh-name.js';
import { workersOf } from '../support/process-tree.js';
import { digestOf, RegistryClient, withDigest } from '../support/registry-client.js';
import { OwnBerth, startFront } from '../support/running-berth.js';
import { until } from '../support/until.js';
import { patternBytes } from '../support/upload-probe.js';

const MIB = 1024 * 1024;
const UPLOADS = 200;
const UPLOAD_BYTES = 2 * MIB;
const BUFFER_BYTES = 64 * MIB;
/** For anything else: without traffic a process has about 125 MiB, and half a MiB more for each upload. */
const OTHER_BYTES = 290 * MIB;

describe(`a front with ${UPLOADS} uploads at once`, () => {
  let replica: OwnBerth;
  let front: OwnBerth;
  beforeAll(async () => {
    replica = await OwnBerth.start();
    front = await startFront([replica.url], { FRONT_BUFFER_BYTES: String(BUFFER_BYTES) });
  });
  afterAll(async () => {
    await front.dispose();
    await replica.dispose();
  });

  /** The most memory that a process of the front has had. Linux only. */
  function peakBytes(): number {
    const [worker = 0] = workersOf(front.pid);
    const status = readFileSync(`/proc/${worker}/status`, 'utf8');
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
  }

  it('fills its memory while the replica is frozen, and then loses none of them', async () => {
    const client = new RegistryClient(front.url);
    const name = freshName('many');
    const bytes = patternBytes(UPLOAD_BYTES);
    const locations = await Promise.all(Array.from({ length: UPLOADS }, () => client.uploadLocation(name)));
    const before = peakBytes();

    process.kill(replica.pid, 'SIGSTOP');
    const digest = digestOf(bytes);
    const pushes = locations.map((location) =>
      client.fetch(withDigest(location, digest), { method: 'PUT', body: bytes }),
    );
    // A quarter of it is for bodies that are kept as a whole.
    await until('full memory', () => peakBytes() > before + 40 * MIB);
    process.kill(replica.pid, 'SIGCONT');

    const statuses = await Promise.all(pushes.map(async (push) => (await push).status));
    expect(new Set(statuses)).toEqual(new Set([201]));
    expect(peakBytes()).toBeLessThan(BUFFER_BYTES + OTHER_BYTES);
    expect(digestOf(await client.blob(name, digest))).toBe(digest);
    expect(readFileSync(front.logFile, 'utf8')).not.toContain('MaxListenersExceededWarning');
  });
});

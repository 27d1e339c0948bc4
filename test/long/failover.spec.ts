import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { ImagePushers, lostImages } from '../support/image-pushers.js';
import { MovingAddress } from '../support/moving-address.js';
import { PostgresPair } from '../support/postgres-pair.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { useProcessBench } from '../support/set-up.js';
import { until } from '../support/until.js';
import { patternBytes, UploadProbe } from '../support/upload-probe.js';

const MIB = 1024 * 1024;
const WHOLE = patternBytes(6 * MIB);

const bench = useProcessBench();
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function startPair(): Promise<PostgresPair> {
  const pair = await PostgresPair.start(join(bench.newDataDir(), 'pair'));
  closers.push(() => pair.stop());
  return pair;
}

const socket = (directory: string) => encodeURIComponent(directory);

/** The primary, the standby, and how the registry learns which one it has to use. */
const ADDRESSES: [string, (pair: PostgresPair) => Promise<{ url: string; move: () => void }>][] = [
  [
    'DATABASE_URL names both',
    ({ primary, standby }) =>
      Promise.resolve({
        url: `postgres://berth@${socket(primary)},${socket(standby)}/berth?target_session_attrs=read-write`,
        move: () => undefined,
      }),
  ],
  [
    'their address moves',
    async ({ primary, standby }) => {
      const address = await MovingAddress.open(primary);
      closers.push(() => address.close());
      return { url: `postgres://berth@${address.host}/berth`, move: () => address.moveTo(standby) };
    },
  ],
];

describe('when the primary is killed under pushes and its synchronous standby is promoted', () => {
  it.each(ADDRESSES)('nothing that was acknowledged is lost: %s', async (_, addressOf) => {
    const pair = await startPair();
    const { url: DATABASE_URL, move } = await addressOf(pair);
    const settings = { DATABASE_URL, DATA_DIR: bench.newDataDir(), UPLOAD_CHECKPOINT_BYTES: String(MIB) };
    const berth = bench.start(settings);
    const url = await berth.url();
    const client = new RegistryClient(url);
    const upload = await UploadProbe.begin(url, settings.DATA_DIR);
    const patch = upload.patch(url);
    await patch.send(WHOLE.subarray(0, 2 * MIB));
    await upload.durable(url, 2 * MIB);

    const pushers = new ImagePushers(client, 3);
    await until('pushes', () => pushers.images.size >= 20);
    const killedAt = performance.now();
    await pair.killPrimary();
    const before = [...pushers.images];
    // The request is held: it is neither answered nor broken off.
    const sending = patch.send(WHOLE.subarray(2 * MIB, 4 * MIB));
    await pair.promote();
    move();
    const promotedAt = performance.now();
    await until('pushes again', () => pushers.images.size >= before.length + 1);
    const pushedAt = performance.now();
    await until('more pushes', () => pushers.images.size >= before.length + 20);
    await pushers.stop();
    await until('readiness', async () => (await fetch(new URL('/health/ready', url))).ok);

    await sending;
    await patch.send(WHOLE.subarray(4 * MIB));
    patch.end();
    expect(await patch.status).toBe(202);
    expect(await upload.finish(url, WHOLE)).toBe(digestOf(WHOLE));
    expect(await lostImages(client, pushers.images)).toEqual([]);
    const seconds = (from: number, to: number) => ((to - from) / 1000).toFixed(1);
    process.stdout.write(
      `failover: promoted after ${seconds(killedAt, promotedAt)} s, the next push after ` +
        `${seconds(promotedAt, pushedAt)} s, ${pushers.images.size} images, ` +
        `${pushers.refused} pushes refused, 0 acknowledged ones lost\n`,
    );
  });
});

import { setFlagsFromString } from 'node:v8';
import { setTimeout as sleep } from 'node:timers/promises';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { httpChunk, RawConnection, requestHead } from '../support/raw-http.js';
import { OCI_MANIFEST } from '../support/registry-client.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import { eventually } from '../support/until.js';

const MIB = 1024 * 1024;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Collects at intervals: a full collection takes longer than most tests. */
async function heldBytes(): Promise<number> {
  await sleep(200);
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}

describe('a manifest of 100 MB', () => {
  let berth: TestBerth;
  const piece = Buffer.alloc(256 * 1024, ' ');

  beforeAll(async () => void (berth = await startTestBerth()));
  afterAll(() => berth.dispose());

  it.each([
    ['with a Content-Length', [['Content-Length', 100_000_000]], (bytes: Buffer) => bytes],
    ['in chunked transfer encoding', [['Transfer-Encoding', 'chunked']], httpChunk],
  ] as const)('20. %s: what the client sends after the refusal is not kept', async (_, headers, framed) => {
    const before = await heldBytes();
    const connection = await RawConnection.open(berth.url);
    const type = ['Content-Type', OCI_MANIFEST] as const;
    await connection.send(requestHead('PUT', '/v2/a/manifests/huge', [type, ...headers]));
    for (let sent = 0; sent < 48 * MIB; sent += piece.length) await connection.send(framed(piece));
    // The collector frees buffers in the background.
    const isFreed = (held: number) => held - before < 16 * MIB;
    expect(isFreed(await eventually(heldBytes, isFreed))).toBe(true);
    expect((await connection.response()).status).toBe(413);
    connection.leave();
  });
});

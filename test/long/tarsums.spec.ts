import { randomBytes, randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { MAX_ENTRIES, TarsumCalculator } from '../../src/oci/tar/tarsum-calculator.js';
import { TarInvalidError } from '../../src/oci/tar/tar.errors.js';
import { runInTimeSlices } from '../../src/oci/time-slices.js';
import { RegistryClient } from '../support/registry-client.js';
import { useProcessBench } from '../support/set-up.js';
import { longHeader, paxHeader, tarEntry, tarOf, tarsumOf } from '../support/tar-archive.js';

const MIB = 1024 * 1024;
/** Of 100,000 in all, some go through the built program. */
const MUTATED = 98_000;
const SENT = 2_000;

const SAMPLE = tarOf(
  tarEntry({ name: 'file', body: randomBytes(700) }),
  paxHeader([
    ['path', 'long'],
    ['mtime', '1.5'],
    ['SCHILY.xattr.user.a', 'b'],
  ]),
  tarEntry({ name: 'x', mode: 0o755, uname: 'u' }),
  longHeader('L', 'l'.repeat(120)),
  longHeader('K', 'k'.repeat(120)),
  tarEntry({ name: 'y', typeflag: '2' }),
);

/** Bytes changed, removed, repeated, or replaced by those of another place. */
function mutated(): Buffer {
  let tar: Buffer = Buffer.from(SAMPLE);
  for (let changes = randomInt(1, 6); changes > 0; changes -= 1) {
    const [at, length] = [randomInt(tar.length), randomInt(1, 600)];
    const kind = randomInt(5);
    if (kind === 0) tar.writeUInt8(randomInt(256), at);
    else if (kind === 1) tar = Buffer.concat([tar.subarray(0, at), tar.subarray(at + length)]);
    else if (kind === 2) tar = Buffer.concat([tar.subarray(0, at + length), tar.subarray(at)]);
    else if (kind === 3) tar.copy(tar, at, randomInt(tar.length));
    else tar = withChecksums(tar, at);
    if (tar.length === 0) tar = Buffer.from(SAMPLE);
  }
  return tar;
}

/** Changes a byte of a header and makes its checksum fit, so that the change is read. */
function withChecksums(tar: Buffer, at: number): Buffer {
  const start = at - (at % 512);
  const header = tar.subarray(start, start + 512);
  if (header.length < 512) return tar;
  header.writeUInt8(randomInt(256), randomInt(512));
  const sum = header.reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 32 : byte), 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return tar;
}

/** The memory of a process. Linux only. */
function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

describe('mutated tars', () => {
  it(`${MUTATED} of them have a tarsum or a reason`, async () => {
    let summed = 0;
    for (let index = 0; index < MUTATED; index += 1) {
      const calculator = new TarsumCalculator(index % 2 === 0 ? 'tarsum+sha256' : 'tarsum.v1+sha256');
      await runInTimeSlices(calculator.update(mutated()));
      try {
        await runInTimeSlices(calculator.finish());
        summed += 1;
      } catch (error) {
        expect(error).toBeInstanceOf(TarInvalidError);
      }
    }
    // Otherwise the mutations would test nothing behind the first header.
    expect(summed).toBeGreaterThan(MUTATED / 100);
  });

  const bench = useProcessBench();
  it(`${SENT} of them are answered without an error of the server, in flat memory`, async () => {
    const berth = bench.start({ DATA_DIR: bench.newDataDir() });
    const client = new RegistryClient(await berth.url());
    const query = `digest=${encodeURIComponent(tarsumOf(1, []))}`;
    const send = async () => {
      const body = Buffer.from(mutated());
      const response = await client.fetch(`/v2/fuzz/blobs/uploads/?${query}`, { method: 'POST', body });
      await response.arrayBuffer();
      return response.status;
    };
    for (let index = 0; index < SENT / 2; index += 1) expect([201, 400]).toContain(await send());
    const before = residentBytes(berth.pid);
    for (let index = 0; index < SENT / 2; index += 1) expect([201, 400]).toContain(await send());
    expect(residentBytes(berth.pid) - before).toBeLessThan(64 * MIB);
    expect((await client.fetch('/v2/')).status).toBe(200);
  });
});

describe('many entries', () => {
  const template = tarEntry({ name: '000000' });
  const base = parseInt(template.toString('latin1', 148, 155), 8);
  const calculated = async (count: number) => {
    const calculator = new TarsumCalculator('tarsum.v1+sha256');
    const piece = Buffer.alloc(512 * 1024);
    for (let index = 0; index < count; index += 1024) {
      const length = Math.min(1024, count - index);
      for (let each = 0; each < length; each += 1) writeEntry(piece, each, index + each);
      await runInTimeSlices(calculator.update(piece.subarray(0, 512 * length)));
    }
    return runInTimeSlices(calculator.finish());
  };

  /** Only its name differs, so that its checksum is quickly made. */
  function writeEntry(piece: Buffer, at: number, number: number): void {
    template.copy(piece, 512 * at);
    const digits = String(number).padStart(6, '0');
    const added = digits.split('').reduce((total, digit) => total + Number(digit), 0);
    piece.write(digits, 512 * at, 'latin1');
    piece.write((base + added).toString(8).padStart(7, '0'), 512 * at + 148, 'latin1');
  }

  it('as many as may be take 48 bytes each, and one more is refused', async () => {
    const before = process.memoryUsage().arrayBuffers;
    await expect(calculated(MAX_ENTRIES)).resolves.toMatch(/^tarsum/);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * MIB);
    await expect(calculated(MAX_ENTRIES + 1)).rejects.toThrow(`more than ${MAX_ENTRIES} entries`);
  });
});

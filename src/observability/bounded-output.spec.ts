import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { fullDisk, pipe, type Pipe, stoppedPipe } from '../../test/support/bad-outputs.js';
import { until } from '../../test/support/until.js';
import { BoundedOutput, type DroppedLines } from './bounded-output.js';

const KIB = 1024;

let directory: string;
beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), 'berth-output-'))));
afterAll(() => rmSync(directory, { recursive: true }));

function line(n: number, bytes = 100): string {
  return `${String(n).padStart(bytes - 1)}\n`;
}

function numbers(text: string): number[] {
  expect(text.at(-1) ?? '\n').toBe('\n');
  return text.split('\n').slice(0, -1).map(Number);
}

/** Reads what is in a pipe, as text. */
function readAll({ reader }: Pipe): string {
  const buffer = Buffer.alloc(KIB * KIB);
  let text = '';
  try {
    for (;;) text += buffer.toString('utf8', 0, readSync(reader, buffer));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
  }
  return text;
}

async function onPipe(work: (pipe: Pipe) => Promise<void> | void): Promise<void> {
  const made = pipe(directory);
  try {
    await work(made);
  } finally {
    closeSync(made.reader);
    closeSync(made.writer);
  }
}

// Other systems can't open a pipe again.
const onLinux = process.platform === 'linux' ? describe : describe.skip;

onLinux('BoundedOutput', () => {
  it('writes lines to a file, in their order', async () => {
    const path = join(directory, 'log');
    const fd = openSync(path, 'a');
    const output = new BoundedOutput(fd);
    for (let n = 0; n < 5_000; n += 1) {
      output.write(line(n));
      if (n % 100 === 0) await new Promise(setImmediate);
    }
    expect(await output.flush()).toBe(true);
    closeSync(fd);
    expect(numbers(readFileSync(path, 'utf8'))).toEqual(Array.from({ length: 5_000 }, (_, n) => n));
  });

  it('queues lines that are not read yet up to its bound, then drops lines and reports that in order', () =>
    onPipe(async (made) => {
      const output = new BoundedOutput(made.writer, 50 * KIB);
      const reports: DroppedLines[] = [];
      output.onDropped((dropped) => {
        reports.push(dropped);
        output.write('-1\n');
      });
      let n = 0;
      // First the pipe fills, then the queue, then lines are dropped.
      for (const end of [400, 800, 3_000]) {
        for (; n < end; n += 1) output.write(line(n));
        await output.flush();
      }
      expect(reports).toEqual([]);
      let text = '';
      await until('the report', () => {
        text += readAll(made);
        return text.endsWith('-1\n');
      });
      const written = numbers(text).slice(0, -1);
      expect(written).toEqual(Array.from(written, (_, index) => index));
      expect(reports).toMatchObject([{ count: n - written.length, cause: { code: 'EAGAIN' } }]);
      expect(reports[0]?.until.getTime()).toBeGreaterThanOrEqual(reports[0]?.since.getTime() ?? Infinity);
      output.write(line(n));
      expect(await output.flush()).toBe(true);
      expect(numbers(readAll(made))).toEqual([n]);
    }));

  it('drops lines that come faster than they can be written', () =>
    onPipe(async (made) => {
      const output = new BoundedOutput(made.writer, 10 * KIB);
      const reports: DroppedLines[] = [];
      output.onDropped((dropped) => reports.push(dropped));
      for (let n = 0; n < 1_000; n += 1) output.write(line(n));
      expect(await output.flush()).toBe(false);
      const written = numbers(readAll(made));
      expect(reports).toMatchObject([{ count: 1_000 - written.length, cause: undefined }]);
    }));

  it('writes each line to a pipe in one piece', () =>
    onPipe(async (made) => {
      const output = new BoundedOutput(made.writer);
      const other = new BoundedOutput(made.writer);
      let text = '';
      for (let n = 0; n < 500; n += 1) {
        output.write(line(n, 3_000));
        other.write(line(n, 700));
        await new Promise(setImmediate);
        if (n % 20 === 0) text += readAll(made);
      }
      await until('the rest', () => {
        text += readAll(made);
        return text.length === 500 * 3_700;
      });
      expect(new Set(text.split('\n').map(({ length }) => length))).toEqual(new Set([2_999, 699, 0]));
    }));

  it('flushes within a bounded time if nothing can be written', async () => {
    for (const made of [fullDisk(), stoppedPipe(directory)]) {
      const output = new BoundedOutput(made.fd);
      output.write(line(1));
      expect(await output.flush()).toBe(false);
      expect(await output.flush()).toBe(false);
      made.close();
    }
  });

  it('writes the queue when the process exits', () =>
    onPipe((made) => {
      const output = new BoundedOutput(made.writer, 10 * KIB);
      output.onDropped(({ count }) => output.write(`${count}\n`));
      for (let n = 0; n < 1_000; n += 1) output.write(line(n));
      output.writeLast();
      const written = numbers(readAll(made));
      expect(written.at(-1)).toBe(1_000 - (written.length - 1));
    }));

  it('lets the process exit if nothing can be written', () => {
    for (const made of [fullDisk(), stoppedPipe(directory)]) {
      const output = new BoundedOutput(made.fd);
      output.write(line(1));
      output.writeLast();
      made.close();
    }
  });
});

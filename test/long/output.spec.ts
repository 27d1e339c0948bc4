import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  type BadOutput,
  closedPipe,
  deadTerminal,
  fullDisk,
  stoppedPipe,
  stoppedTerminal,
} from '../support/bad-outputs.js';
import { useProcessBench, useTestDatabase } from '../support/set-up.js';
import { isAlive, workersOf } from '../support/process-tree.js';
import { RegistryClient } from '../support/registry-client.js';
import { withSmallDisk } from '../support/small-disk.js';
import { until } from '../support/until.js';

// /dev/full, and pseudo-terminals as they are opened here.
const onLinux = process.platform === 'linux' ? describe : describe.skip;

const bench = useProcessBench();
const database = useTestDatabase();
let dataDir: string;
let output: BadOutput | undefined;
beforeAll(() => void (dataDir = bench.newDataDir()));
afterEach(() => {
  output?.close();
  output = undefined;
});

function settings(environment: Record<string, string> = {}): Record<string, string> {
  return { DATA_DIR: dataDir, DATABASE_URL: database.url, ...environment };
}

async function serves(url: string): Promise<void> {
  const client = new RegistryClient(url);
  for (const tag of ['v1', 'v2']) {
    expect((await client.putManifest('one', tag, await client.makeImage('one'))).status).toBe(201);
    expect((await client.fetch(`/v2/one/manifests/${tag}`)).status).toBe(200);
  }
  expect((await client.fetch('/health/live')).status).toBe(200);
}

onLinux('a standard output and standard error that can not be written to', () => {
  it.each<[string, Record<string, string>, () => BadOutput]>([
    ['a full disk', {}, fullDisk],
    ['a full disk, as text', { LOG_FORMAT: 'pretty' }, fullDisk],
    ['a full disk, with workers', { WORKERS: '2' }, fullDisk],
    ['a pipe whose reader has stopped', {}, () => stoppedPipe(bench.scratch)],
    ['a pipe whose reader is gone', {}, () => closedPipe(bench.scratch)],
    ['a terminal that has stopped', {}, stoppedTerminal],
    ['a terminal that is gone', {}, deadTerminal],
  ])('%s: it serves and stops', async (_, environment, open) => {
    output = open();
    const [berth, url] = await bench.startUnheard(settings(environment), output.fd);
    const workers = workersOf(berth.pid);
    await serves(url);
    berth.signal('SIGTERM');
    expect(await berth.ended()).toMatchObject({ code: 0, signal: null });
    expect(workers.filter(isAlive)).toEqual([]);
  });

  it('workers whose primary was killed end', async () => {
    output = fullDisk();
    const [berth, url] = await bench.startUnheard(settings({ WORKERS: '2' }), output.fd);
    const workers = workersOf(berth.pid);
    expect(workers).toHaveLength(2);
    await serves(url);
    berth.signal('SIGKILL');
    await until('the end of the workers', () => workers.filter(isAlive).length === 0);
  });

  it.each<[string, () => BadOutput]>([
    ['a full disk', fullDisk],
    ['a pipe whose reader has stopped', () => stoppedPipe(bench.scratch)],
    ['a pipe whose reader is gone', () => closedPipe(bench.scratch)],
    ['a terminal that has stopped', stoppedTerminal],
  ])('%s: a start that fails ends', async (_, open) => {
    output = open();
    const berth = bench.start({ LOG_LEVEL: 'none' }, { output: output.fd });
    expect(await berth.ended()).toMatchObject({ code: 1, signal: null });
  });

  it('an uncaught exception ends it', async () => {
    output = stoppedPipe(bench.scratch);
    const program = "process.on('SIGUSR2',()=>{throw(new(Error)('bug'))})";
    const environment = settings({ NODE_OPTIONS: `--import=data:text/javascript,${program}` });
    const [berth] = await bench.startUnheard(environment, output.fd);
    berth.signal('SIGUSR2');
    expect(await berth.ended()).toMatchObject({ code: 1, signal: null });
  });
});

describe('a log on a disk that was full temporarily', () => {
  interface Line {
    readonly msg: string;
    readonly requestId?: string;
    readonly dropped?: { count: number; since: string; until: string; code: string };
  }

  it('has complete lines in order, and reports how many are missing', async () => {
    await withSmallDisk(8 * 1024 * 1024, async (disk) => {
      const log = openSync(join(disk, 'berth.log'), 'a');
      try {
        const [berth, url] = await bench.startUnheard(settings(), log);
        const filler = join(disk, 'filler');
        expect(() => {
          for (;;) writeFileSync(filler, Buffer.alloc(64 * 1024), { flag: 'a' });
        }).toThrow('ENOSPC');
        const ask = async (from: number, to: number) => {
          for (let n = from; n < to; n += 1) {
            const headers = { 'X-Request-Id': `n-${n}`, 'User-Agent': 'x'.repeat(12_000) };
            expect((await fetch(`${url}/v2/${'x/'.repeat(250)}tags/list`, { headers })).status).toBe(400);
          }
        };
        await ask(0, 6_000);
        rmSync(filler);
        const lines = () =>
          readFileSync(join(disk, 'berth.log'), 'utf8')
            .split('\n')
            .slice(0, -1)
            .filter((line) => line.startsWith('{'))
            .map((line) => JSON.parse(line) as Line);
        await until('the note', () => lines().some(({ dropped }) => dropped !== undefined));
        await ask(6_000, 6_010);
        berth.signal('SIGTERM');
        expect(await berth.ended()).toMatchObject({ code: 0 });
        const ids = lines().flatMap(({ requestId }) =>
          requestId?.startsWith('n-') ? [Number(requestId.slice(2))] : [],
        );
        expect(ids).toEqual([...ids].sort((a, b) => a - b));
        expect(ids.at(-1)).toBe(6_009);
        const [note, ...more] = lines().flatMap(({ dropped, msg }) => (dropped ? [{ msg, dropped }] : []));
        expect(more).toEqual([]);
        expect(note?.dropped.count).toBe(6_010 - ids.length);
        expect(note?.dropped.code).toBe('ENOSPC');
        expect(note?.msg).toMatch(
          /^\d+ log lines were dropped between \S+ and \S+: no space left on device$/,
        );
      } finally {
        await bench.clear();
        closeSync(log);
      }
    });
  });
});

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { ContentMaker } from '../../bench/load/content.js';
import { ResponseParser, type ParsedResponse } from '../../bench/load/response-parser.js';
import type { Sample } from '../../bench/soak/sampler.js';
import { judge } from '../../bench/soak/verdict.js';
import { builtMain } from '../support/built-berth.js';
import { compileSources } from '../support/compiled-sources.js';
import { describeWithRadosgw, sharedRadosgw } from '../support/radosgw.js';
import { until } from '../support/until.js';

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface FoundCase {
  readonly name: string;
  readonly berth: {
    readonly median: number;
    readonly requests: number;
    readonly p99Ms: number | null;
    readonly cpuMs: number | null;
  };
  readonly peer: { readonly median: number } | null;
  readonly ratio: number | null;
}

const START = 'start on existing data, to the first 200';
const CASES = [
  'manifest GET by tag, 1 connection',
  'blob push 4 KiB, POST + PUT, 8 connections',
  'blob push 4 KiB, POST + PUT, 16 connections',
  START,
];

const FRONT_CASES = [
  'push of 16 MiB, POST \\+ PUT',
  'push of 16 MiB, POST \\+ chunked PATCH \\+ PUT',
  'pull of 16 MiB',
  'push of 4 KiB, one POST',
  'manifest GET by tag',
  'GET /v2/',
];

/** A peer that starts, and then fails every request. */
const USELESS_PEER = `#!${process.execPath}
if (process.argv[2] === '--version') console.log('useless v0');
else {
  const { readFileSync } = require('node:fs');
  const port = /addr: ".*:(\\d+)"/.exec(readFileSync(process.argv[3], 'utf8'))[1];
  const respond = ({ url }, response) =>
    response.writeHead(url === '/v2/' ? 200 : 500, { 'Content-Length': 0 }).end();
  require('node:http').createServer(respond).listen(Number(port), '127.0.0.1');
}
`;

describe('npm run bench', () => {
  let compiled: string;
  let dist: string;
  let scratch: string;

  beforeAll(async () => {
    compiled = await compileSources(['bench']);
    dist = dirname(dirname(await builtMain()));
    scratch = await mkdtemp(join(tmpdir(), 'berth-bench-spec-'));
    await chmod(scratch, 0o755);
    await mkdir(join(scratch, 'data'), { mode: 0o755 });
  });
  afterAll(async () => {
    await rm(compiled, { recursive: true });
    await rm(scratch, { recursive: true });
  });

  function start(
    args: string[],
    program = 'bench/main.js',
  ): { ended: Promise<Ended>; stderr: () => string; interrupt: () => void } {
    const fixed = ['--quick', '--rounds', '1', '--seconds', '0.1', '--workers', '1', '--dist', dist];
    const child = spawn(
      process.execPath,
      [join(compiled, program), ...fixed, '--directory', join(scratch, 'data'), ...args],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    // 'close' is emitted when none of its child processes holds its output any more.
    const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr }));
    return { ended, stderr: () => stderr, interrupt: () => child.kill('SIGINT') };
  }

  async function expectNothingLeft(): Promise<void> {
    expect(await readdir(join(scratch, 'data'))).toEqual([]);
    const commands = await Promise.all(
      (await readdir('/proc').catch(() => []))
        .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
        .map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
    );
    expect(commands.filter((command) => command.includes(scratch) || command.includes(compiled))).toEqual([]);
  }

  it('measures the selected cases, prints and saves the figures, and leaves no process', async () => {
    const json = join(scratch, 'figures.json');
    const only = '^(manifest GET by tag, 1 |blob push 4 KiB|start on)';
    const { code, stdout, stderr } = await start(['--no-peer', '--only', only, '--json', json]).ended;
    if (code !== 0) throw new Error(`the benchmark failed: ${stderr}`);
    const { cases } = JSON.parse(await readFile(json, 'utf8')) as { cases: FoundCase[] };
    expect(cases.map(({ name }) => name)).toEqual(CASES);
    expect(stdout).toMatch(/^\d+ × .+ with(out)? SHA instructions, Node v/);
    for (const { name, berth, peer } of cases) {
      expect(stdout).toContain(`| ${name}`);
      expect(berth.median).toBeGreaterThan(0);
      expect(peer).toBeNull();
      if (name === START) continue;
      expect(berth.requests).toBeGreaterThan(1);
      expect(berth.p99Ms).toBeGreaterThan(0);
      expect(berth.cpuMs).toBeGreaterThan(0);
    }
    await expectNothingLeft();
  });

  it('measures what a front costs, and leaves no process', async () => {
    const { code, stdout, stderr } = await start([], 'bench/front/main.js').ended;
    if (code !== 0) throw new Error(`the benchmark failed: ${stderr}`);
    for (const name of FRONT_CASES)
      expect(stdout).toMatch(new RegExp(`^\\| ${name} *(\\| +[\\d.,-]+ ){6}\\|$`, 'm'));
    await expectNothingLeft();
  });

  it('fails, naming case and server, when a server returns anything unexpected', async () => {
    const peer = join(scratch, 'useless-peer');
    await writeFile(peer, USELESS_PEER, { mode: 0o755 });
    const { code, stdout, stderr } = await start(['--peer', peer, '--only', 'blob push 4 KiB']).ended;
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(
      'blob push 4 KiB, POST + PUT, 8 connections, distribution 0: ' +
        'the POST of an upload returned 500 instead of 202',
    );
    await expectNothingLeft();
  });

  it('runs a soak, and leaves no files or processes', async () => {
    // Too short to see growth, which this test does not check.
    const env = { SOAK_MINUTES: '0.1', SOAK_SAMPLE_SECONDS: '1', SOAK_RATE: '20', SOAK_DIST: dist };
    const child = spawn(process.execPath, [join(compiled, 'bench/soak/main.js')], {
      env: { ...process.env, ...env, SOAK_DIRECTORY: join(scratch, 'data') },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    await once(child, 'close');
    if (!stdout.includes('wrong responses: 0')) throw new Error(`the soak failed: ${stdout}${stderr}`);
    for (const figure of [
      'Berth RSS, MiB',
      'descriptors of Berth',
      'upload_events: rows',
      'uploads on disk',
    ]) {
      expect(stdout).toContain(`| ${figure}`);
    }
    await expectNothingLeft();
  }, 240_000);

  it('stops all its processes on Ctrl-C', async () => {
    const run = start(['--no-peer', '--only', 'manifest GET by tag, 1 ', '--seconds', '600']);
    await until('the first case', () => run.stderr().includes('manifest GET by tag, 1 connection'));
    run.interrupt();
    // npm and timeout(1) pass on a signal that the terminal's whole group has received.
    const again = setInterval(run.interrupt, 20);
    expect((await run.ended).code).toBe(130);
    clearInterval(again);
    await expectNothingLeft();
  });

  it('lists its cases', async () => {
    const { code, stdout } = await start(['--list']).ended;
    expect(code).toBe(0);
    expect(stdout.split('\n')).toEqual(expect.arrayContaining(CASES));
  });
});

describe('the verdict of a soak', () => {
  const samples = (of: (index: number) => number, name: string): Sample[] =>
    Array.from({ length: 60 }, (_, index) => ({
      atSeconds: index * 30,
      values: new Map([[name, of(index)]]),
    }));

  it.each<[string, string, (index: number) => number, string]>([
    ['a leak', 'Berth RSS, MiB', (index) => 100 + 2 * index, 'grows'],
    ['a warm-up', 'Berth RSS, MiB', (index) => 100 + 10 * Math.min(index, 12), 'flat'],
    ['rows that are added and deleted', 'uploads: rows', (index) => 1_000 + 150 * (index % 3), 'flat'],
    ['rows that are never deleted', 'uploads: rows', (index) => 100 * index, 'grows'],
    ['an event log', 'tag_events: rows', (index) => 100 * index, 'grows by design'],
    ['a machine that gets slower', 'latency p99, ms', (index) => 100 * index, 'not judged'],
  ])('%s', (_, name, of, verdict) => {
    expect(judge(samples(of, name)).map((finding) => finding.verdict)).toEqual([verdict]);
  });
});

describeWithRadosgw('npm run bench over S3', () => {
  it('measures pushes', async () => {
    const { endpoint, accessKeyId, secretAccessKey } = await sharedRadosgw();
    const [compiled, main] = [await compileSources(['bench']), await builtMain()];
    const only = ['--quick', '--rounds', '1', '--seconds', '0.1', '--only', 'push 4 KiB.* 8 |manifest'];
    const args = [...only, '--no-peer', '--s3', endpoint, '--dist', dirname(dirname(main))];
    const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    try {
      const child = spawn(process.execPath, [join(compiled, 'bench/main.js'), ...args], {
        env: { ...process.env, ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const [output, progress] = await Promise.all([text(child.stdout), text(child.stderr)]);
      if (output === '') throw new Error(`the benchmark failed: ${progress}`);
      expect(output).toContain('; over S3; ');
      expect(output.match(/^\| \w+ \w+ .*?connections?/gm)).toEqual([
        '| blob push 4 KiB, POST + PUT, 8 connections',
      ]);
    } finally {
      await rm(compiled, { recursive: true });
    }
  });
});

describe('a chunked body', () => {
  it.each([64, 100, 32 * 1024, 32 * 1024 + 63, 32 * 1024 + 64, 5 * 32 * 1024])(
    'of %i bytes',
    async (size) => {
      const content = new ContentMaker(size).make('chunked');
      const plain = Buffer.concat([...content.parts(0, size)]);
      const server = createServer((request, response) => {
        void buffer(request).then((body) => response.end(createHash('sha256').update(body).digest('hex')));
      });
      await once(server.listen(0, '127.0.0.1'), 'listening');
      const { port } = server.address() as AddressInfo;
      try {
        const socket = connect(port, '127.0.0.1');
        socket.write('PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n');
        for (const part of content.chunkedParts()) socket.write(part);
        const digest = createHash('sha256').update(plain).digest('hex');
        expect(await text(socket)).toContain(`\r\n\r\n${digest}`);
        expect(content.digest).toBe(`sha256:${digest}`);
      } finally {
        server.close();
      }
    },
  );
});

describe('ResponseParser', () => {
  const RESPONSES = Buffer.from(
    [
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n' +
        '4;x=y\r\n\r\n\r\n\r\nA\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n',
      'HTTP/1.1 202 Accepted\r\nlocation: /v2/a?b=c\r\ncontent-length: 0\r\n\r\n',
      'HTTP/1.1 204 No Content\r\n\r\n',
    ].join(''),
  );

  it('finds the same responses wherever the bytes are cut', () => {
    for (let first = 1; first < RESPONSES.length; first += 1) {
      const responses: ParsedResponse[] = [];
      const parser = new ResponseParser((response) => responses.push(response));
      // One buffer for all reads, as on a socket: the parser must copy bytes that it needs later.
      const shared = Buffer.alloc(RESPONSES.length);
      for (const piece of [RESPONSES.subarray(0, first), RESPONSES.subarray(first)]) {
        shared.fill('#');
        piece.copy(shared);
        parser.feed(shared, piece.length);
      }
      expect(responses).toEqual([
        { status: 200, bodyBytes: 5, location: undefined },
        { status: 200, bodyBytes: 14, location: undefined },
        { status: 202, bodyBytes: 0, location: '/v2/a?b=c' },
        { status: 204, bodyBytes: 0, location: undefined },
      ]);
    }
  });
});

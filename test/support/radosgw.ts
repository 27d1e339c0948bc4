import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { describe, it } from '@jest/globals';
import { tryFileLock } from '../../src/common/file-lock.js';
import { findProgram } from './registry-tool.js';

/** Endpoint and credentials of an S3 server. */
export interface S3Server {
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
}

/** A server that its caller stops. */
export interface StartedS3Server extends S3Server {
  stop(): Promise<void>;
}

const PROGRAMS = ['radosgw', 'radosgw-admin', 'ceph-mon', 'ceph-osd', 'ceph', 'monmaptool'];
const SCRIPT = fileURLToPath(new URL('./radosgw.sh', import.meta.url));
const START_TIMEOUT_MS = 60_000;

/** A `describe` that needs radosgw. Without it the tests are skipped, with a message; in CI they fail. */
export function describeWithRadosgw(title: string, define: () => void): void {
  const why = missing();
  if (why === undefined) return describe(title, define);
  if (process.env['CI']) {
    describe(title, () => {
      it('has its server', () => {
        throw new Error(why);
      });
    });
    return;
  }
  process.stderr.write(`Skipped: ${title}, since ${why}.\n`);
  describe.skip(`${title} (${why})`, define);
}

function missing(): string | undefined {
  const programs = PROGRAMS.filter((name) => findProgram(name) === undefined);
  if (programs.length > 0) return `not on the PATH: ${programs.join(', ')}`;
  return process.getuid?.() === 0 ? undefined : 'only root can start radosgw';
}

/**
 * The one radosgw of a Jest run. The first caller starts it (two seconds, 130 MB). `postgres-setup.ts` stops
 * it when the run ends, even after a crash.
 */
export async function sharedRadosgw(): Promise<S3Server> {
  const directory = runDirectory();
  if (directory === undefined) throw new Error('the shared radosgw needs the globalSetup of jest.config.mjs');
  const file = join(directory, 'radosgw.json');
  const deadline = Date.now() + 2 * START_TIMEOUT_MS;
  for (;;) {
    if (existsSync(file)) return JSON.parse(await readFile(file, 'utf8')) as S3Server;
    if (Date.now() > deadline) throw new Error('the radosgw of the tests was not started in time');
    const lock = await tryFileLock(join(directory, 'radosgw.lock'));
    if (!lock) {
      await sleep(50);
      continue;
    }
    try {
      if (existsSync(file)) continue;
      const { stop: _, ...server } = await startRadosgw();
      await writeFile(`${file}.new`, JSON.stringify(server));
      await rename(`${file}.new`, file);
    } finally {
      lock.release();
    }
  }
}

/**
 * Starts a server for one caller, for tests that stop it or measure. In Jest it ends with the run, even
 * without `stop`.
 */
export async function startRadosgw(): Promise<StartedS3Server> {
  const directory = mkdtempSync(join(runDirectory() ?? tmpdir(), 'radosgw-'));
  const stop = async (): Promise<void> => {
    await promisify(execFile)(SCRIPT, ['stop', directory]);
    await rm(directory, { recursive: true, force: true });
  };
  // Another process may take a port before radosgw listens on it.
  for (let attempt = 1; ; attempt += 1) {
    const [port, monitorPort] = await freePorts();
    await mkdir(directory, { recursive: true });
    try {
      await promisify(execFile)(SCRIPT, ['start', directory, String(port), String(monitorPort)], {
        timeout: START_TIMEOUT_MS,
      });
    } catch (error) {
      await stop();
      if (attempt === 3) throw error;
      continue;
    }
    return {
      endpoint: `http://127.0.0.1:${port}`,
      accessKeyId: 'testkey',
      secretAccessKey: 'testsecret',
      region: 'us-east-1',
      stop,
    };
  }
}

/** Creates an empty bucket for one caller, and returns its name. The bucket ends with its server. */
export async function freshBucket(server: S3Server): Promise<string> {
  const name = `berth-${randomBytes(8).toString('hex')}`;
  const client = new S3Client({
    endpoint: server.endpoint,
    region: server.region,
    forcePathStyle: true,
    credentials: { accessKeyId: server.accessKeyId, secretAccessKey: server.secretAccessKey },
  });
  try {
    await client.send(new CreateBucketCommand({ Bucket: name }));
  } finally {
    client.destroy();
  }
  return name;
}

/** The directory of the run. `postgres-setup.ts` removes it. */
function runDirectory(): string | undefined {
  return process.env['BERTH_TEST_RUN_DIR'];
}

async function freePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()] as const;
  const port = async (server: (typeof servers)[number]): Promise<number> => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return address.port;
  };
  const ports: [number, number] = [await port(servers[0]), await port(servers[1])];
  for (const server of servers) await new Promise((resolve) => server.close(resolve));
  return ports;
}

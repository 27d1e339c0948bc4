import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RegistryServer } from './registry-server.js';

const CALLS = ['fsync', 'fdatasync', 'sync_file_range'];
const ATTACH_TIMEOUT_MS = 10_000;
const POLL_MS = 20;

/** System calls of a server, with its PostgreSQL separate. */
export interface FlushCounts {
  /** Calls of `fsync` and `fdatasync`. */
  readonly serving: number;
  readonly database: number;
  /** Calls of `sync_file_range`, which starts a write and promises nothing. */
  readonly writeBacks: number;
}

/** Counts flushes with strace, which slows the server. Linux only. */
export class FlushWatch {
  private counts: Promise<FlushCounts> | undefined;

  private constructor(
    private readonly serving: Tracer,
    private readonly database: Tracer | undefined,
  ) {}

  /** Undefined without strace, or if it may not trace the processes. */
  static async start(server: RegistryServer): Promise<FlushWatch | undefined> {
    const { serving, database } = server.processes();
    const file = (name: string): string => join(server.directory, `${name}.strace`);
    const traced = await Tracer.start(serving, file('serving'));
    if (!traced || database.length === 0) return traced && new FlushWatch(traced, undefined);
    const tracedDatabase = await Tracer.start(database, file('database'));
    if (!tracedDatabase) await traced.stop();
    return tracedDatabase && new FlushWatch(traced, tracedDatabase);
  }

  /** Idempotent. */
  stop(): Promise<FlushCounts> {
    this.counts ??= this.stopTracing();
    return this.counts;
  }

  private async stopTracing(): Promise<FlushCounts> {
    const [serving, database] = [await this.serving.stop(), await this.database?.stop()];
    const flushes = (calls: ReadonlyMap<string, number> | undefined): number =>
      (calls?.get('fsync') ?? 0) + (calls?.get('fdatasync') ?? 0);
    return {
      serving: flushes(serving),
      database: flushes(database),
      writeBacks: serving.get('sync_file_range') ?? 0,
    };
  }
}

/** One strace. */
class Tracer {
  private constructor(
    private readonly child: ChildProcess,
    private readonly ended: Promise<unknown>,
    private readonly file: string,
  ) {}

  static async start(pids: readonly number[], file: string): Promise<Tracer | undefined> {
    if (pids.length === 0) return undefined;
    const args = ['-f', '-c', '-q', '-e', `trace=${CALLS.join(',')}`, '-o', file];
    const child = spawn('strace', [...args, ...pids.flatMap((pid) => ['-p', `${pid}`])], { stdio: 'ignore' });
    const ended = once(child, 'exit').catch(() => undefined);
    const deadline = performance.now() + ATTACH_TIMEOUT_MS;
    while (!pids.every(isTraced)) {
      if (child.pid === undefined || child.exitCode !== null) return undefined;
      await sleep(POLL_MS);
      if (performance.now() > deadline) throw new Error('strace did not attach');
    }
    return new Tracer(child, ended, file);
  }

  /** Returns the number of calls by name. */
  async stop(): Promise<Map<string, number>> {
    this.child.kill('SIGINT');
    await this.ended;
    return parseSummary(await readFile(this.file, 'utf8'));
  }
}

/** `% time, seconds, usecs/call, calls, errors (if there are any), syscall` */
function parseSummary(summary: string): Map<string, number> {
  const rows = summary.split('\n').map((line) => line.trim().split(/\s+/));
  return new Map(
    rows
      .filter((row) => CALLS.includes(row.at(-1) ?? ''))
      .map((row) => [row.at(-1) ?? '', Number(row[3])] as const),
  );
}

/** All threads. A process that has ended is not waited for. */
function isTraced(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).every(
      (thread) => !readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8').includes('TracerPid:\t0\n'),
    );
  } catch {
    return true;
  }
}

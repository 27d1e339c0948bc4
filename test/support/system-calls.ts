import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from '@jest/globals';
import { runDirectory } from './once-per-run.js';
import { findProgram } from './registry-tool.js';

/** One call of a traced process, as strace wrote it down. Times are seconds since the epoch. */
export interface SystemCall {
  readonly name: string;
  readonly args: string;
  /** Negative if it failed; 0 if the process did not survive it. */
  readonly result: number;
  /** `EIO` and the like. */
  readonly error: string | undefined;
  /** Whether strace made it fail. The kernel has not done it then. */
  readonly isInjected: boolean;
  readonly begunAt: number;
  readonly endedAt: number;
}

export interface TraceOptions {
  /** The names of calls to write down. */
  readonly calls: readonly string[];
  /**
   * What is done to one of them, as strace spells it: `fdatasync:error=EIO:when=2`. Each thread has a counter
   * of its own: run the process with `UV_THREADPOOL_SIZE=1`, so that the second call is the second of all.
   */
  readonly inject?: string | undefined;
}

/**
 * Watches the system calls of a running process with strace, and makes some of them fail. The process sees a
 * real failure of a real call: nothing in it takes part. Linux only.
 */
export class SystemCallTrace {
  private static count = 0;

  private constructor(
    private readonly strace: ChildProcess,
    private readonly log: string,
  ) {}

  /** Resolves when every thread of the process is traced. */
  static async attach(pid: number, { calls, inject }: TraceOptions): Promise<SystemCallTrace> {
    SystemCallTrace.count += 1;
    const log = join(runDirectory(), `strace-${process.pid}-${SystemCallTrace.count}.log`);
    const args = ['-f', '-y', '-ttt', '-T', '-s', '0', '-o', log, '-e', `trace=${calls.join(',')}`];
    if (inject !== undefined) args.push('-e', `inject=${inject}`);
    const strace = spawn('strace', [...args, '-p', String(pid)], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    strace.stderr.setEncoding('utf8');
    while (!said.includes('attached')) {
      const [text] = (await Promise.race([
        once(strace.stderr, 'data'),
        once(strace, 'exit').then(([code]) =>
          Promise.reject(new Error(`strace ended with ${code}: ${said}`)),
        ),
      ])) as [string];
      said += text;
    }
    strace.stderr.resume();
    return new SystemCallTrace(strace, log);
  }

  /** Ends the trace of a process that was killed. Strace may wait for one of its threads for ever. */
  async abandon(): Promise<void> {
    const { strace } = this;
    if (strace.exitCode === null && strace.signalCode === null) {
      const gone = once(strace, 'exit');
      strace.kill('SIGKILL');
      await gone;
    }
    await rm(this.log, { force: true });
  }

  /** Stops tracing and returns the calls, in the order in which they ended. The process continues. */
  async detach(): Promise<SystemCall[]> {
    if (this.strace.exitCode === null && this.strace.signalCode === null) {
      const gone = once(this.strace, 'exit');
      this.strace.kill('SIGINT');
      await gone;
    }
    const text = await readFile(this.log, 'latin1');
    await rm(this.log);
    return parseTrace(text);
  }
}

const LINE = /^(\d+) +(\d+\.\d+) (.*)$/;
const WHOLE = /^(\w+)\((.*)\) += +(-?\d+|\?)(?:<[^>]*>)?(?: ([A-Z]+) \([^)]*\))?( \(INJECTED\))?/;
const SPENT = / <(\d+\.\d+)>$/;
const UNFINISHED = / ?<unfinished \.\.\.>$/;
const RESUMED = /^<\.\.\. \w+ resumed>/;

function parseTrace(text: string): SystemCall[] {
  const pending = new Map<string, { readonly begunAt: number; readonly text: string }>();
  const calls: SystemCall[] = [];
  for (const line of text.split('\n')) {
    const [, thread = '', time = '', rest = ''] = LINE.exec(line) ?? [];
    if (UNFINISHED.test(rest)) {
      pending.set(thread, { begunAt: Number(time), text: rest.replace(UNFINISHED, '') });
      continue;
    }
    const begun = RESUMED.test(rest) ? pending.get(thread) : undefined;
    const call = callOf((begun?.text ?? '') + rest.replace(RESUMED, ''), begun?.begunAt ?? Number(time));
    pending.delete(thread);
    if (call !== undefined) calls.push(call);
  }
  return calls.sort((a, b) => a.endedAt - b.endedAt);
}

function callOf(text: string, begunAt: number): SystemCall | undefined {
  const [, name, args = '', result = '', error, injected] = WHOLE.exec(text) ?? [];
  if (name === undefined) return undefined;
  const spent = Number(SPENT.exec(text)?.[1] ?? 0);
  return {
    name,
    args,
    result: Number(result === '?' ? 0 : result),
    error,
    isInjected: injected !== undefined,
    begunAt,
    endedAt: begunAt + spent,
  };
}

/** A `describe` that needs strace and the right to trace. It is skipped without them, or fails in CI. */
export function describeWithStrace(title: string, define: () => void): void {
  const why = whyNotTraced();
  if (why === undefined) return describe(title, define);
  if (process.env['CI'] === 'true') {
    describe(title, () => {
      it('can trace a process', () => {
        throw new Error(why);
      });
    });
    return;
  }
  process.stderr.write(`Skipped: ${title}, since ${why}.\n`);
  describe.skip(`${title} (${why})`, define);
}

function whyNotTraced(): string | undefined {
  if (process.platform !== 'linux') return 'only Linux has strace';
  if (findProgram('strace') === undefined) return 'strace is not on the PATH';
  try {
    execFileSync('strace', ['-o', '/dev/null', '-e', 'trace=none', 'true'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'this user may not trace processes';
  }
}

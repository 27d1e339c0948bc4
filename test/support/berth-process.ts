import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LogLine } from './running-berth.js';

/** How a process ended, with its output. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a process differs from one that an operator starts in a shell. */
export interface ProcessLimits {
  /** A descriptor for standard output and standard error. `stdout` stays empty then. */
  readonly output?: number | 'pipe';
  /** The limit of open files and sockets. Unset, the limit of this process. */
  readonly openFiles?: number | undefined;
  /** The program's main file. Unset, the built one. */
  readonly main?: string;
}

/** For hangs only: a start initialises a database cluster. */
const START_TIMEOUT_MS = 240_000;
/** The longest clean stop that operators are promised. */
export const STOP_TIMEOUT_MS = 15_000;

/** Berth as an operator runs it: a process in its own process group, like a job of a terminal. */
export class BerthProcess {
  private readonly child: ChildProcess;
  private readonly output = { stdout: '', stderr: '' };
  private readonly closed: Promise<Ended>;

  /**
   * The environment is the given one and PATH.
   */
  constructor(
    main: string,
    environment: Record<string, string>,
    cwd: string,
    { output = 'pipe', openFiles }: ProcessLimits = {},
  ) {
    const command = `${openFiles === undefined ? '' : `ulimit -n ${openFiles} && `}exec "$0" "$1"`;
    this.child = spawn('/bin/sh', ['-c', command, process.execPath, main], {
      cwd,
      env: { PATH: process.env['PATH'] ?? '', ...environment },
      stdio: ['ignore', output, output],
      detached: true,
    });
    this.closed = this.follow();
  }

  get pid(): number {
    return this.child.pid!;
  }

  get stdout(): string {
    return this.output.stdout;
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Returns the address when the banner or the line `started` names it. Requests are served from then on. */
  async url(): Promise<string> {
    const line = await this.printed(/^(?: {2}registry +|{.*"url":")(https?:\/\/[^/"\s]+)/m, START_TIMEOUT_MS);
    return line[1] ?? '';
  }

  /** The lines of its log, in JSON, whose message matches. */
  log(message: RegExp): LogLine[] {
    const lines = this.output.stdout.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'));
    return lines.map((line) => JSON.parse(line) as LogLine).filter(({ msg }) => message.test(msg));
  }

  /** Waits until standard output matches. Rejects if the process ends without it. */
  async printed(pattern: RegExp, timeoutMs: number): Promise<RegExpExecArray> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const found = pattern.exec(this.output.stdout);
      if (found) return found;
      if (!this.isRunning) throw new Error(`Berth ended: ${JSON.stringify(await this.closed)}`);
      if (Date.now() > deadline) throw new Error(`${pattern.source} was not printed: ${this.output.stdout}`);
      await sleep(20);
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Signals every process of the group, as Ctrl-C on a terminal does. */
  signalGroup(signal: NodeJS.Signals): void {
    process.kill(-this.pid, signal);
  }

  /** Waits for the end. Rejects after `timeoutMs`. */
  async ended(timeoutMs = STOP_TIMEOUT_MS): Promise<Ended> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const message = `Berth was still running after ${timeoutMs} ms`;
      timer = setTimeout(() => reject(new Error(message)), timeoutMs);
    });
    return Promise.race([this.closed, late]).finally(() => clearTimeout(timer));
  }

  /** Ends it with kill -9 if it still runs. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.closed;
  }

  private async follow(): Promise<Ended> {
    for (const name of ['stdout', 'stderr'] as const) {
      this.child[name]?.setEncoding('utf8');
      this.child[name]?.on('data', (text: string) => (this.output[name] += text));
    }
    // 'close' comes when no process has its pipes open: a child of Berth must not keep them.
    const [code, signal] = (await once(this.child, 'close')) as [number | null, NodeJS.Signals | null];
    return { code, signal, ...this.output };
  }
}

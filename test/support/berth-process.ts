import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

/** How a process ended and what it said. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a process differs from one that an operator starts in a shell. */
export interface ProcessLimits {
  /** The descriptor that it has for standard output and standard error. What it says is unknown then. */
  readonly output?: number | 'pipe';
  /** The limit of files and sockets that it may have open. Unless given, as many as this process. */
  readonly openFiles?: number | undefined;
}

/** A start makes a database cluster, on a busy machine. */
const START_TIMEOUT_MS = 60_000;
/** What a clean stop may take, by the promise to the operator. */
export const STOP_TIMEOUT_MS = 15_000;

/** Berth as an operator runs it: a process, in a process group of its own like a terminal's job. */
export class BerthProcess {
  private readonly child: ChildProcess;
  private readonly output = { stdout: '', stderr: '' };
  private readonly closed: Promise<Ended>;

  /**
   * The environment has nothing but what is given, and PATH.
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

  /** The address, as soon as the banner says it: from then on requests are answered. */
  async url(): Promise<string> {
    const line = await this.printed(/^ {2}registry +(http:\S+)\/v2\/$/m, START_TIMEOUT_MS);
    return line[1] ?? '';
  }

  /** Waits until standard output has something. Rejects when the process ends without having said it. */
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

  /** What Ctrl-C on a terminal does: every process of the job gets it. */
  signalGroup(signal: NodeJS.Signals): void {
    process.kill(-this.pid, signal);
  }

  /** Waits for the end, and rejects when it takes longer than a stop may. */
  async ended(timeoutMs = STOP_TIMEOUT_MS): Promise<Ended> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const message = `Berth was still running after ${timeoutMs} ms`;
      timer = setTimeout(() => reject(new Error(message)), timeoutMs);
    });
    return Promise.race([this.closed, late]).finally(() => clearTimeout(timer));
  }

  /** kill -9, unless it is gone. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.closed;
  }

  private async follow(): Promise<Ended> {
    for (const name of ['stdout', 'stderr'] as const) {
      this.child[name]?.setEncoding('utf8');
      this.child[name]?.on('data', (text: string) => (this.output[name] += text));
    }
    // 'close' comes when nobody has its pipes any more: whatever it started must not hold a terminal.
    const [code, signal] = (await once(this.child, 'close')) as [number | null, NodeJS.Signals | null];
    return { code, signal, ...this.output };
  }
}

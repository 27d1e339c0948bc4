import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { processTree } from '../../bench/servers/process-tree.js';
import { runDirectory } from '../support/once-per-run.js';
import { until } from '../support/until.js';

const LOG_CHARACTERS = 3_000;
const RESTART_PAUSE_MS = 100;

export interface ServerCommand {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Where it listens. */
  readonly url: string;
  /** Its working directory, with its output in a file `log`. It is made if it isn't there. */
  readonly directory: string;
}

/** A server on a fixed port. It is started again whenever it ends, as a supervisor does. */
export class SupervisedServer {
  private child: ChildProcess | undefined;
  private starts = 0;
  private isReady = false;
  private isWanted = true;
  private readonly log: string;
  private readonly supervision: Promise<void>;

  private constructor(private readonly options: ServerCommand) {
    this.log = join(options.directory, 'log');
    this.supervision = this.supervise();
  }

  /** Starts it, and waits until it serves. */
  static async start(options: ServerCommand): Promise<SupervisedServer> {
    await mkdir(options.directory, { recursive: true });
    const server = new SupervisedServer(options);
    try {
      await server.ready();
    } catch (error) {
      await server.stop();
      throw new Error(`${options.command.join(' ')}: ${server.logTail}`, { cause: error });
    }
    return server;
  }

  get url(): string {
    return this.options.url;
  }

  get logTail(): string {
    return readFileSync(this.log, 'utf8').slice(-LOG_CHARACTERS);
  }

  /** Ends it, and waits until it serves again. */
  async restart(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const starts = this.starts;
    this.isReady = false;
    this.signal(signal);
    await until(`another start of ${this.url}`, () => this.starts > starts);
    await this.ready();
  }

  /** SIGTERM for the process that an operator knows, other signals for all its processes. */
  signal(signal: NodeJS.Signals): void {
    const pid = this.child?.pid;
    if (pid === undefined || !isRunning(this.child)) return;
    process.kill(signal === 'SIGTERM' ? pid : -pid, signal);
  }

  /** The bytes that its processes have read, mostly from sockets. */
  bytesRead(): number {
    const pid = this.child?.pid;
    if (pid === undefined) return 0;
    return processTree(pid).reduce((sum, each) => sum + bytesReadBy(each), 0);
  }

  async stop(): Promise<void> {
    this.isWanted = false;
    this.signal('SIGKILL');
    await this.supervision;
  }

  /** Waits until it serves. */
  private ready(): Promise<void> {
    return until(`a server at ${this.url}`, () => this.isReady);
  }

  private async supervise(): Promise<void> {
    while (this.isWanted) {
      const child = this.spawn();
      const ended = once(child, 'exit');
      const pidFile = join(runDirectory(), `${child.pid}.pid`);
      // The run's clean-up ends what has such a file.
      await writeFile(pidFile, String(child.pid));
      await this.waitForFirstAnswer(child);
      await ended;
      this.isReady = false;
      await rm(pidFile, { force: true });
      await sleep(RESTART_PAUSE_MS);
    }
  }

  private spawn(): ChildProcess {
    const { command, environment, directory } = this.options;
    const [program = '', ...args] = command;
    const output = openSync(this.log, 'a');
    const stdio: ['ignore', number, number] = ['ignore', output, output];
    this.child = spawn(program, args, { cwd: directory, env: environment, stdio, detached: true });
    closeSync(output);
    this.starts += 1;
    return this.child;
  }

  private async waitForFirstAnswer(child: ChildProcess): Promise<void> {
    while (isRunning(child) && !(await serves(this.url))) await sleep(50);
    this.isReady = isRunning(child);
  }
}

function isRunning(child: ChildProcess | undefined): boolean {
  return child !== undefined && child.exitCode === null && child.signalCode === null;
}

function serves(url: string): Promise<boolean> {
  const headers = { connection: 'close' };
  return fetch(new URL('/v2/', url), { headers, signal: AbortSignal.timeout(2_000) }).then(
    ({ status }) => status === 200,
    () => false,
  );
}

/** proc(5): `rchar`. 0 if it has ended. */
function bytesReadBy(pid: number): number {
  try {
    return Number(/^rchar: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

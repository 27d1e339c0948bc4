import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { SeededRandom } from './seeded-random.js';
import { BerthProcess } from '../support/berth-process.js';
import { listensAt } from '../support/kernel-queues.js';

const RESTART_PAUSE_MS = 200;
const LOG_LINES = 15;
const STDERR_CHARACTERS = 1_000;
/** Maximum length of the log kept of ended processes. */
const LOG_CHARACTERS = 2_000_000;

/** One Berth, restarted whenever it ends, as a supervisor does in production. */
export class Replica {
  /** Undefined while it accepts no requests. */
  url: string | undefined;
  private process: BerthProcess | undefined;
  private wanted = false;
  private supervision: Promise<void> = Promise.resolve();
  private frozen = false;
  private lastStderr = '';
  private oldLog = '';

  constructor(
    readonly index: number,
    private readonly spawn: () => Promise<BerthProcess>,
    private readonly onUnexpectedExit: (text: string) => void,
  ) {}

  start(): void {
    this.wanted = true;
    this.supervision = this.supervise();
  }

  /** Of its process, which is also its process group. */
  get pid(): number | undefined {
    return this.process?.pid;
  }

  get isUp(): boolean {
    return this.url !== undefined && !this.frozen;
  }

  /** kill -9 of all its processes. */
  kill(): void {
    this.signalAll('SIGKILL');
  }

  /** kill -9 of one of its workers. Returns its pid; undefined if there is none, or it cannot be found. */
  async killWorker(random: SeededRandom): Promise<number | undefined> {
    const workers = await this.workers();
    if (workers.length === 0) return undefined;
    const killed = random.pick(workers);
    process.kill(killed, 'SIGKILL');
    return killed;
  }

  /** Whether a worker serves, besides one that was killed. Without any, nothing listens at its port. */
  async hasServingWorker(killed: number): Promise<boolean> {
    const { url } = this;
    const others = (await this.workers()).filter((worker) => worker !== killed);
    return url !== undefined && others.some((worker) => listensAt(url, worker));
  }

  private async workers(): Promise<number[]> {
    const pid = this.process?.pid;
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
    return children
      .split(' ')
      .map(Number)
      .filter((child) => child > 0);
  }

  /** Resolves when the killed process has exited. */
  async gone(): Promise<void> {
    await this.process?.ended();
  }

  terminate(): void {
    this.process?.signal('SIGTERM');
  }

  freeze(): void {
    this.frozen = true;
    this.signalAll('SIGSTOP');
  }

  thaw(): void {
    if (this.frozen) this.signalAll('SIGCONT');
    this.frozen = false;
  }

  /** Stops it with SIGTERM, and does not restart it. */
  async stop(): Promise<void> {
    this.wanted = false;
    this.thaw();
    this.terminate();
    await this.supervision;
  }

  /** The last lines of its output. */
  get logTail(): string {
    const lines = this.process?.stdout.trimEnd().split('\n') ?? [];
    return [this.lastStderr, ...lines.slice(-LOG_LINES)].join('\n  ');
  }

  /** Lines with `text` in the log of this process or earlier ones. */
  logLinesWith(text: string): string[] {
    const log = this.oldLog + (this.process?.stdout ?? '');
    return log.split('\n').filter((line) => line.includes(text));
  }

  private signalAll(signal: NodeJS.Signals): void {
    if (this.process?.isRunning === true) this.process.signalGroup(signal);
  }

  private async supervise(): Promise<void> {
    while (this.wanted) {
      const berth = await this.spawn();
      this.process = berth;
      // Without the database it logs an error and exits, and is restarted.
      this.url = await berth.url().catch(() => undefined);
      const { code, signal, stdout, stderr } = await berth.ended(2 ** 31 - 1);
      this.lastStderr = stderr.slice(-STDERR_CHARACTERS);
      this.oldLog = (this.oldLog + stdout).slice(-LOG_CHARACTERS);
      const served = this.url !== undefined;
      this.url = undefined;
      this.frozen = false;
      if (served && signal !== 'SIGKILL' && code !== 0) {
        this.onUnexpectedExit(
          `replica ${this.index} ended with ${code ?? signal}: ` +
            `${stdout.slice(-STDERR_CHARACTERS)}${this.lastStderr}`,
        );
      }
      await delay(RESTART_PAUSE_MS);
    }
  }
}

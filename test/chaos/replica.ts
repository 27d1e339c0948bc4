import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { SeededRandom } from './seeded-random.js';
import { BerthProcess } from '../support/berth-process.js';

const RESTART_PAUSE_MS = 200;
const LOG_LINES = 15;
const LAST_WORDS = 1_000;
/** Of processes that have ended. */
const LOG_CHARACTERS = 2_000_000;

/** One Berth, started again whenever it ends, as whatever runs it in production does. */
export class Replica {
  /** Where it accepts requests; undefined while it doesn't. */
  url: string | undefined;
  private process: BerthProcess | undefined;
  private wanted = false;
  private supervision: Promise<void> = Promise.resolve();
  private frozen = false;
  private lastWords = '';
  private oldLog = '';

  constructor(
    readonly index: number,
    private readonly spawn: () => Promise<BerthProcess>,
    private readonly onSurprise: (text: string) => void,
  ) {}

  start(): void {
    this.wanted = true;
    this.supervision = this.supervise();
  }

  get isUp(): boolean {
    return this.url !== undefined && !this.frozen;
  }

  /** kill -9 of all its processes. */
  kill(): void {
    this.signalAll('SIGKILL');
  }

  /** kill -9 of one of its workers. False: it has none, or there is no way to find them. */
  async killWorker(random: SeededRandom): Promise<boolean> {
    const pid = this.process?.pid;
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
    const workers = children
      .split(' ')
      .map(Number)
      .filter((child) => child > 0);
    if (workers.length === 0) return false;
    process.kill(random.pick(workers), 'SIGKILL');
    return true;
  }

  /** Settles when the process that was killed is no more. */
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

  /** Ends it in order and for good. */
  async stop(): Promise<void> {
    this.wanted = false;
    this.thaw();
    this.terminate();
    await this.supervision;
  }

  /** The last that it said. */
  get logTail(): string {
    const lines = this.process?.stdout.trimEnd().split('\n') ?? [];
    return [this.lastWords, ...lines.slice(-LOG_LINES)].join('\n  ');
  }

  /** What it logged, in this process or in those before it, that has `text` in it. */
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
      // It can't start while the database is away: then it says so, ends, and is started again.
      this.url = await berth.url().catch(() => undefined);
      const { code, signal, stdout, stderr } = await berth.ended(2 ** 31 - 1);
      this.lastWords = stderr.slice(-LAST_WORDS);
      this.oldLog = (this.oldLog + stdout).slice(-LOG_CHARACTERS);
      const served = this.url !== undefined;
      this.url = undefined;
      this.frozen = false;
      if (served && signal !== 'SIGKILL' && code !== 0) {
        this.onSurprise(
          `replica ${this.index} ended with ${code ?? signal}: ${stdout.slice(-LAST_WORDS)}${this.lastWords}`,
        );
      }
      await delay(RESTART_PAUSE_MS);
    }
  }
}

import { spawn, type ChildProcess } from 'node:child_process';
import { Socket } from 'node:net';
import { settlesWithin } from '../common/settles-within.js';
import { childEnd, eachLine } from './child-exit.js';
import { dataDirArgument, spawnOptions, type ClusterContext } from './cluster-context.js';
import { STOP_STEPS } from './cluster-lock.js';
import { LogTail } from './log-tail.js';
import { settingArguments } from './settings.js';

const KILLS = new Set([
  'signal SIGKILL',
  'signal SIGTERM',
  'signal SIGINT',
  'signal SIGQUIT',
  'signal SIGHUP',
]);

/**
 * A running Postgres, our child.
 *
 * It has a session of its own: Ctrl-C on the terminal reaches Berth alone, which drains before it stops Postgres. It
 * doesn't keep Berth alive, and when Berth exits without stopping it, it is told to stop on the way out.
 */
export class PostgresProcess {
  /** Settles, never rejects, when the server has ended for whatever reason; says how. */
  readonly ended: Promise<string>;
  private readonly child: ChildProcess;
  private readonly tail = new LogTail();
  private readonly stopOnExit = (): void => void this.child.kill('SIGINT');
  private stopping: Promise<void> | undefined;

  /** Starts the server on `context.dir`. It inherits the lock `lockFd` and holds it until its last process is gone. */
  constructor(context: ClusterContext, lockFd: number) {
    const { programs, dir, runAs, log } = context;
    const args = ['-D', dataDirArgument(dir, runAs), ...settingArguments(dir, context)];
    this.child = spawn(programs.postgres, args, {
      ...spawnOptions(dir, runAs),
      stdio: ['ignore', 'ignore', 'pipe', lockFd],
      detached: true,
    });
    eachLine(this.child.stderr, (line) => {
      this.tail.push(line);
      log(line);
    });
    process.once('exit', this.stopOnExit);
    this.ended = childEnd(this.child).then(({ how }) => {
      process.removeListener('exit', this.stopOnExit);
      // Of a kill from outside the log knows nothing: what it says is about something else.
      return KILLS.has(how) ? how : this.tail.reason(how);
    });
  }

  /** The last failure that was logged, as a sentence. */
  lastFailure(): string | undefined {
    const failure = this.tail.failure();
    return failure === undefined ? undefined : `PostgreSQL failed: ${failure}.`;
  }

  /** Whether {@link stop} was called: an end is then no surprise. */
  get isStopping(): boolean {
    return this.stopping !== undefined;
  }

  /** From here on the server doesn't keep this process alive. */
  unref(): void {
    this.child.unref();
    if (this.child.stderr instanceof Socket) this.child.stderr.unref();
  }

  /** Leaves the server running when this process exits. */
  outlive(): void {
    process.removeListener('exit', this.stopOnExit);
  }

  /**
   * Ends the sessions, writes a checkpoint and stops; harder after a bounded time. Settles when the server is gone, or
   * was killed. Never rejects; every call answers the same promise.
   */
  stop(): Promise<void> {
    this.stopping ??= this.stopStepwise();
    return this.stopping;
  }

  private async stopStepwise(): Promise<void> {
    for (const { signal, patienceMs } of STOP_STEPS) {
      this.child.kill(signal);
      if (await settlesWithin(this.ended, patienceMs)) return;
    }
    this.child.kill('SIGKILL');
  }
}

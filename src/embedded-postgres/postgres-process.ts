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
 * A running Postgres, as a child of this process.
 *
 * It has its own session, so that Ctrl-C reaches only Berth, which drains before it stops Postgres. It does
 * not keep Berth alive. If Berth exits without a stop, it still signals Postgres to stop.
 */
export class PostgresProcess {
  /** Resolves with the reason when the server has ended. Never rejects. */
  readonly ended: Promise<string>;
  private readonly child: ChildProcess;
  private readonly tail = new LogTail();
  private readonly stopOnExit = (): void => void this.child.kill('SIGINT');
  private stopping: Promise<void> | undefined;

  /**
   * Starts the server on `context.dir`. Its processes inherit the lock `lockFd` and hold it until they end.
   */
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
      // The log has no line about a kill from outside; its last failure is another one.
      return KILLS.has(how) ? how : this.tail.reason(how);
    });
  }

  /** The last failure in the log, as a sentence. */
  lastFailure(): string | undefined {
    const failure = this.tail.failure();
    return failure === undefined ? undefined : `PostgreSQL failed: ${failure}.`;
  }

  /** Whether {@link stop} was called. */
  get isStopping(): boolean {
    return this.stopping !== undefined;
  }

  /** Lets this process exit while the server runs. */
  unref(): void {
    this.child.unref();
    if (this.child.stderr instanceof Socket) this.child.stderr.unref();
  }

  /** Keeps the server running when this process exits. */
  outlive(): void {
    process.removeListener('exit', this.stopOnExit);
  }

  /**
   * Ends the sessions, writes a checkpoint and stops; after a timeout, stops harder. Resolves when the server
   * has ended or was killed. Never rejects. Idempotent.
   */
  stop(): Promise<void> {
    this.stopping ??= this.stopInSteps();
    return this.stopping;
  }

  private async stopInSteps(): Promise<void> {
    for (const { signal, timeoutMs } of STOP_STEPS) {
      this.child.kill(signal);
      if (await settlesWithin(this.ended, timeoutMs)) return;
    }
    this.child.kill('SIGKILL');
  }
}

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HOST } from '../load/connection.js';
import { processTree, programOf } from './process-tree.js';
import type { RegistryServer, ServerProcesses } from './registry-server.js';
import { ServerProcess } from './server-process.js';

/** Berth with the embedded PostgreSQL and the file system driver, as `npm run start:prod` starts it. */
export class BerthServer implements RegistryServer {
  readonly name = 'Berth';
  private process: ServerProcess | undefined;

  /** @param main the built `main.js`. */
  constructor(
    private readonly main: string,
    readonly directory: string,
    readonly port: number,
    private readonly workers: string,
    private readonly settings: Readonly<Record<string, string>> = {},
  ) {}

  async start(): Promise<void> {
    this.process = ServerProcess.start([process.execPath, this.main], {
      cwd: this.directory,
      log: join(this.directory, 'log'),
      env: {
        PATH: process.env['PATH'] ?? '',
        HOST,
        PORT: `${this.port}`,
        DATA_DIR: join(this.directory, 'data'),
        WORKERS: this.workers,
        // No line per request, as with the peer.
        LOG_LEVEL: 'warn',
        LOG_FORMAT: 'json',
        ...this.settings,
      },
    });
    await this.process.ready(this.port);
  }

  async stop(): Promise<void> {
    await this.process?.stop();
    this.process = undefined;
    this.stopOrphanedPostgres();
  }

  processes(): ServerProcesses {
    const root = this.process?.pid;
    const all = root === undefined ? [] : processTree(root);
    const database = all.filter((pid) => programOf(pid).startsWith('postgres'));
    return { serving: all.filter((pid) => !database.includes(pid)), database };
  }

  /** A Berth that was killed leaves its PostgreSQL running. */
  private stopOrphanedPostgres(): void {
    try {
      const pid = parseInt(readFileSync(join(this.directory, 'data/postgres/postmaster.pid'), 'utf8'), 10);
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      if (command.includes(`${this.directory}/data/postgres`)) process.kill(pid, 'SIGQUIT');
    } catch {
      // No PostgreSQL is running.
    }
  }
}

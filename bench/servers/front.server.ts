import { join } from 'node:path';
import { HOST } from '../load/connection.js';
import { processTree } from './process-tree.js';
import type { RegistryServer, ServerProcesses } from './registry-server.js';
import { ServerProcess } from './server-process.js';

/** A front before a Berth that runs already. Its processes are its own, not those of its replica. */
export class FrontServer implements RegistryServer {
  readonly name = 'the front';
  private process: ServerProcess | undefined;

  /** @param main the built `main.js`. */
  constructor(
    private readonly main: string,
    readonly directory: string,
    readonly port: number,
    private readonly replicaPort: number,
  ) {}

  async start(): Promise<void> {
    this.process = ServerProcess.start([process.execPath, this.main], {
      cwd: this.directory,
      log: join(this.directory, 'log'),
      env: {
        PATH: process.env['PATH'] ?? '',
        HOST,
        PORT: `${this.port}`,
        ROLE: 'front',
        FRONT_REPLICAS: `http://${HOST}:${this.replicaPort}`,
        // No line per request, as with Berth.
        LOG_LEVEL: 'warn',
        LOG_FORMAT: 'json',
      },
    });
    await this.process.ready(this.port);
  }

  async stop(): Promise<void> {
    await this.process?.stop();
    this.process = undefined;
  }

  processes(): ServerProcesses {
    const root = this.process?.pid;
    return { serving: root === undefined ? [] : processTree(root), database: [] };
  }
}

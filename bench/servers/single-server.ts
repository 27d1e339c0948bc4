import { processTree } from './process-tree.js';
import type { RegistryServer, ServerProcesses } from './registry-server.js';
import type { ServerProcess } from './server-process.js';

/** A server that is one process with its children, without a PostgreSQL of its own. */
export abstract class SingleServer implements RegistryServer {
  abstract readonly name: string;
  abstract readonly port: number;
  abstract readonly directory: string;
  private process: ServerProcess | undefined;

  async start(): Promise<void> {
    this.process = await this.launch();
    await this.process.ready(this.port);
  }

  /** Starts the program. */
  protected abstract launch(): ServerProcess | Promise<ServerProcess>;

  async stop(): Promise<void> {
    await this.process?.stop();
    this.process = undefined;
  }

  processes(): ServerProcesses {
    const root = this.process?.pid;
    return { serving: root === undefined ? [] : processTree(root), database: [] };
  }
}

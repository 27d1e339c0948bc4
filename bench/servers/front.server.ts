import { join } from 'node:path';
import { HOST } from '../load/connection.js';
import { ServerProcess } from './server-process.js';
import { SingleServer } from './single-server.js';

/** A front before a Berth that runs already. Its processes are its own, not those of its replica. */
export class FrontServer extends SingleServer {
  readonly name = 'the front';

  /** @param main the built `main.js`. */
  constructor(
    private readonly main: string,
    readonly directory: string,
    readonly port: number,
    private readonly replicaPort: number,
  ) {
    super();
  }

  protected launch(): ServerProcess {
    return ServerProcess.start([process.execPath, this.main], {
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
  }
}

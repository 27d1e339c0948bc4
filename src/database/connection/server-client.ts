import pg from 'pg';
import { breakOff, type DatabaseServer, type DatabaseServers } from './database-servers.js';

/** `read_only_sql_transaction`: the server was demoted, or restarted as a standby. */
const READ_ONLY = '25006';

type Connected = (error?: Error) => void;

/**
 * The class of connections to the one of `servers` that takes writes, for pools of node-postgres, which knows
 * only one host itself.
 *
 * A connection whose server takes no writes any more is closed, so that its pool makes another one.
 */
export function clientOf(servers: DatabaseServers): typeof pg.Client {
  return class ServerClient extends pg.Client {
    constructor(config?: pg.ClientConfig) {
      super({ ...config, connectionString: servers.anyUrl });
      // A connection that is closed here has no listener yet. Its queries, or `connect`, reject all the same.
      this.on('error', () => undefined);
    }

    override connect(): Promise<pg.Client>;
    override connect(callback: Connected): void;
    override connect(callback?: Connected): Promise<pg.Client> | void {
      const connected = this.open();
      if (callback === undefined) return connected;
      connected.then(
        () => process.nextTick(callback),
        (error: unknown) => process.nextTick(callback, error),
      );
    }

    private async open(): Promise<pg.Client> {
      const server = await servers.choose();
      this.host = server.host;
      this.port = server.port;
      try {
        await super.connect();
        await servers.accept(this, server);
        this.leaveReadOnly(server);
        return this;
      } catch (error) {
        servers.forget(server);
        breakOff(this);
        throw error;
      }
    }

    private leaveReadOnly(server: DatabaseServer): void {
      this.connection.on('errorMessage', ({ code }: { code?: string }) => {
        if (code !== READ_ONLY) return;
        servers.forget(server);
        breakOff(this);
      });
    }
  };
}

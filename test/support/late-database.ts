import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, expect } from '@jest/globals';
import { expectPostgresGone } from './process-bench.js';
import { SECRET } from './refused-start.js';
import { useOtherServers, useProcessBench, useTestDatabase } from './set-up.js';

/** For hangs only. */
export const TIMEOUT_MS = 120_000;
/** What Berth reports while no server listens. */
export const WAITING = /waiting for the database of DATABASE_URL, up to \d+ s .+ECONNREFUSED/;

/** What a server sends that starts up: an ErrorResponse. */
function startingUp(): Buffer {
  const fields = 'SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0';
  const head = Buffer.from('E\0\0\0\0');
  head.writeInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, Buffer.from(fields)]);
}

/** Starts of Berth before its external database. */
export function useLateDatabase() {
  const bench = useProcessBench();
  const database = useTestDatabase({ migrated: true });
  const others = useOtherServers();
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  /** The settings of a Berth whose database will be at this port. */
  const settings = (port: number, waitSeconds: number, more: Record<string, string> = {}) => {
    const { user, database: name } = database.connection;
    return {
      DATA_DIR: bench.newDataDir(),
      STORAGE_FILESYSTEM_ROOT: join(bench.scratch, 'storage'),
      DATABASE_URL: `postgres://${user}:${SECRET}@127.0.0.1:${port}/${name}`,
      DATABASE_WAIT_SECONDS: String(waitSeconds),
      DATABASE_POOL_SIZE: '6',
      ...more,
    };
  };

  /** Connects this port to the real database, after it has said `times` times that it is starting up. */
  const serveDatabase = async (port: number, times: number): Promise<void> => {
    const { host, port: socketPort } = database.connection;
    let left = times;
    const server = createServer((client) => {
      client.on('error', () => undefined);
      if (left-- > 0) return void client.once('data', () => client.end(startingUp()));
      const target = connect(`${host}/.s.PGSQL.${socketPort}`).on('error', () => client.destroy());
      client.on('close', () => target.destroy()).pipe(target);
      target.pipe(client);
    });
    servers.push(server.listen(port, '127.0.0.1'));
    await once(server, 'listening');
  };

  return {
    bench,
    settings,
    freePort: () => others.freePort(),

    /** A start waits for the server, and then for its recovery. */
    async expectPatience(more: Record<string, string> = {}): Promise<void> {
      const port = await others.freePort();
      const berth = bench.start(settings(port, 600, more));
      await berth.printed(WAITING, TIMEOUT_MS);
      await serveDatabase(port, 2);
      expect((await fetch(`${await berth.url()}/health/ready`)).status).toBe(200);
      berth.signal('SIGTERM');
      const { code, stdout, stderr } = await berth.ended();
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).not.toContain(SECRET);
    },

    async expectEnd(signal: NodeJS.Signals): Promise<void> {
      const environment = settings(await others.freePort(), 3600);
      const berth = bench.start(environment);
      await berth.printed(WAITING, TIMEOUT_MS);
      berth.signal(signal);
      expect(await berth.ended()).toMatchObject({ code: 0, stderr: '' });
      await expectPostgresGone(environment.DATA_DIR, 0);
    },
  };
}

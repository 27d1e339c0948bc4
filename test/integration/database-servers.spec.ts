import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { Replica } from '../../src/common/replica.js';
import { DatabaseListener } from '../../src/database/connection/database-listener.js';
import { dataSourceOptions } from '../../src/database/connection/data-source-options.js';
import { ProbeConnection } from '../../src/database/connection/probe-connection.js';
import { isDatabaseUnavailable } from '../../src/database/errors/database-errors.js';
import { outlastOutage } from '../../src/database/outlast-outage.js';
import { queryRows } from '../../src/database/query-rows.js';
import { MovingAddress } from '../support/moving-address.js';
import { useTestDatabase } from '../support/set-up.js';

const database = useTestDatabase();
let first: MovingAddress;
let second: MovingAddress;
const opened: DataSource[] = [];
beforeEach(async () => {
  first = await MovingAddress.open(undefined);
  second = await MovingAddress.open(database.connection.host);
});
afterEach(async () => {
  for (const dataSource of opened.splice(0)) if (dataSource.isInitialized) await dataSource.destroy();
  await Promise.all([first.close(), second.close()]);
});

/** One connection to the hosts `first` and `second`. */
function sourceOf(parameters = ''): DataSource {
  const { user, database: name } = database.connection;
  const url = `postgres://${user}@${first.host},${second.host}/${name}${parameters}`;
  const dataSource = new DataSource(dataSourceOptions({ url }, 1));
  opened.push(dataSource);
  return dataSource;
}

const failureOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'it succeeded',
    (error: unknown) => error,
  );

async function takesWrites(does: boolean): Promise<void> {
  const admin = new pg.Client({ ...database.connection, database: 'postgres' });
  await admin.connect();
  const change = does ? 'RESET default_transaction_read_only' : 'SET default_transaction_read_only = on';
  await admin.query(`ALTER DATABASE ${database.connection.database} ${change}`);
  await admin.end();
}

describe('a DATABASE_URL with several hosts', () => {
  it('uses the one that takes writes', async () => {
    const dataSource = await sourceOf('?target_session_attrs=read-write').initialize();
    expect(await dataSource.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('follows when another one does', async () => {
    const dataSource = await sourceOf().initialize();
    second.moveTo(undefined);
    first.moveTo(database.connection.host);
    await failureOf(dataSource.query('SELECT pg_terminate_backend(pg_backend_pid())'));
    // The pool may not know yet that its connection has ended.
    const query = () => queryRows(dataSource.manager, 'SELECT 1 AS one');
    expect(await outlastOutage(60_000, query)).toEqual([{ one: 1 }]);
  });

  it('is so for health checks and notifications, too', async () => {
    const dataSource = await sourceOf().initialize();
    const probe = new ProbeConnection(dataSource);
    const listener = new DatabaseListener(dataSource, new Replica());
    try {
      const received = new Promise((resolve) => listener.on('moved', resolve));
      await listener.onModuleInit();
      await dataSource.query(`NOTIFY moved, 'here'`);
      expect(await received).toBe('here');
      expect(await probe.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    } finally {
      await Promise.all([probe.onModuleDestroy(), listener.onModuleDestroy()]);
    }
  });

  it('is unavailable while none does, and names each host with its reason', async () => {
    const dataSource = sourceOf();
    await takesWrites(false);
    const failure = await failureOf(dataSource.initialize());
    await takesWrites(true);
    expect(isDatabaseUnavailable(failure)).toBe(true);
    expect(String(failure)).toMatch(
      /no host of DATABASE_URL takes writes \(127.0.0.1:\d+: \w+ ECONNRESET[^;]*; 127.0.0.1:\d+: takes no writes\)$/,
    );
    await dataSource.initialize();
  });

  it('reports a failure that time does not mend, if every host has it', async () => {
    first.moveTo(database.connection.host);
    const dataSource = new DataSource(
      dataSourceOptions({ url: `postgres://nobody@${first.host},${second.host}/nothing` }, 1),
    );
    expect(String(await failureOf(dataSource.initialize()))).toMatch(/role "nobody" does not exist/);
  });
});

it('a connection whose server takes no writes any more is replaced', async () => {
  const dataSource = await new DataSource(dataSourceOptions({ url: database.url }, 1)).initialize();
  opened.push(dataSource);
  await dataSource.query('CREATE TABLE written (x int)');
  await dataSource.query('SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY');
  const write = () => dataSource.query('INSERT INTO written VALUES (1)');
  expect(isDatabaseUnavailable(await failureOf(write()))).toBe(true);
  await write();
});

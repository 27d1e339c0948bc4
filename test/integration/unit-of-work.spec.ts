import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { ContendedError } from '../../src/database/errors/contended.error.js';
import {
  dataSourceOptions,
  type PostgresLimits,
  SERVING,
} from '../../src/database/connection/data-source-options.js';
import { isDatabaseUnavailable } from '../../src/database/errors/database-errors.js';
import { queryRows } from '../../src/database/query-rows.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { until } from '../support/until.js';
import { createTestDataSource, type TestDataSource } from '../support/test-data-source.js';

describe('UnitOfWork', () => {
  let test: TestDataSource;
  let unitOfWork: UnitOfWork;

  beforeAll(async () => {
    test = await createTestDataSource();
    unitOfWork = new UnitOfWork(test.dataSource);
    await test.dataSource.query('CREATE TABLE counters (name text PRIMARY KEY, value int NOT NULL)');
    await test.dataSource.query(`INSERT INTO counters VALUES ('a', 0), ('b', 0)`);
  });
  afterAll(() => test.dispose());

  const counters = () => queryRows(test.dataSource.manager, 'SELECT value FROM counters ORDER BY name');

  it('rolls back failed work', async () => {
    const work = unitOfWork.run(async (transaction) => {
      await queryRows(transaction, 'UPDATE counters SET value = 100');
      throw new Error('no');
    });
    await expect(work).rejects.toThrow('no');
    expect(await counters()).toEqual([{ value: 0 }, { value: 0 }]);
  });

  it('retries work that Postgres ended to break a deadlock', async () => {
    let runs = 0;
    // Each waits, in its first run, until both hold their first row: a certain deadlock.
    let arrived = 0;
    let bothArrived: () => void = () => undefined;
    const meeting = new Promise<void>((resolve) => (bothArrived = resolve));
    const add = (first: string, second: string) =>
      unitOfWork.run(async (transaction) => {
        runs += 1;
        const sql = 'UPDATE counters SET value = value + 1 WHERE name = $1 RETURNING value';
        await queryRows(transaction, sql, [first]);
        arrived += 1;
        if (arrived === 2) bothArrived();
        await meeting;
        await queryRows(transaction, sql, [second]);
      });
    await Promise.all([add('a', 'b'), add('b', 'a')]);
    expect(runs).toBe(3);
    expect(await counters()).toEqual([{ value: 2 }, { value: 2 }]);
  });

  it('stops retrying after three attempts', async () => {
    let runs = 0;
    const work = unitOfWork.run(async (transaction) => {
      runs += 1;
      await queryRows(transaction, `DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$`);
    });
    await expect(work).rejects.toThrow('again');
    expect(runs).toBe(3);
  });

  /** A unit of work of another process, with its own limit. */
  const withLimit = async (limit: Partial<PostgresLimits>, work: (other: UnitOfWork) => Promise<void>) => {
    const options = dataSourceOptions({ url: test.url }, 2, { ...SERVING, ...limit });
    const dataSource = await new DataSource(options).initialize();
    await work(new UnitOfWork(dataSource)).finally(() => dataSource.destroy());
  };
  const CHANGE = `UPDATE counters SET value = value WHERE name = 'a'`;

  it('throws ContendedError if a lock is not granted in time', () =>
    withLimit({ lock_timeout: 50 }, (other) =>
      unitOfWork.run(async (transaction) => {
        await queryRows(transaction, CHANGE);
        const works = [other.statement(CHANGE, []), other.run((own) => queryRows(own, CHANGE), 'key')];
        for (const work of works) {
          const failure: unknown = await work.catch((error: unknown) => error);
          expect(failure).toBeInstanceOf(ContendedError);
          // An upload retries it.
          expect(isDatabaseUnavailable(failure)).toBe(true);
        }
      }),
    ));

  it('loses its locks while it is idle in a transaction', () =>
    withLimit({ idle_in_transaction_session_timeout: 50 }, async (frozen) => {
      const work = frozen.run(async (transaction) => {
        await queryRows(transaction, CHANGE);
        await unitOfWork.statement(CHANGE, []);
        await queryRows(transaction, CHANGE);
      });
      expect(isDatabaseUnavailable(await work.catch((error: unknown) => error))).toBe(true);
    }));

  it('reports an unavailable database if the connection breaks between two statements', async () => {
    const work = unitOfWork.run(async (transaction) => {
      const [row] = await queryRows<{ pid: number }>(transaction, 'SELECT pg_backend_pid() AS pid');
      await test.dataSource.query('SELECT pg_terminate_backend($1)', [row?.pid]);
      const isGone = async () => {
        const sql = 'SELECT 1 FROM pg_stat_activity WHERE pid = $1';
        return (await queryRows(test.dataSource.manager, sql, [row?.pid])).length === 0;
      };
      await until('the connection to be gone', isGone);
      await queryRows(transaction, 'SELECT 1');
    });
    const failure: unknown = await work.catch((error: unknown) => error);
    expect(isDatabaseUnavailable(failure)).toBe(true);
  });
});

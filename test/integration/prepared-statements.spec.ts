import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { EntityManager } from 'typeorm';
import { queryRows } from '../../src/database/query-rows.js';
import { createTestDataSource, type TestDataSource } from '../support/test-data-source.js';

interface Prepared {
  readonly statement: string;
  readonly plans: string;
}

describe('prepared statements', () => {
  let test: TestDataSource;
  beforeAll(async () => {
    test = await createTestDataSource();
  });
  afterAll(() => test.dispose());

  /** Prepared statements belong to a connection. */
  const onOneConnection = (work: (manager: EntityManager) => Promise<void>) =>
    test.dataSource.transaction(work);

  const preparedOn = (manager: EntityManager) =>
    queryRows<Prepared>(
      manager,
      `SELECT statement, (generic_plans + custom_plans)::text AS plans
         FROM pg_prepared_statements ORDER BY name`,
    );

  it('are prepared once on a connection, and run again', async () => {
    await onOneConnection(async (manager) => {
      const sql = 'SELECT $1::int + 1 AS next';
      for (let n = 0; n < 10; n += 1) {
        expect(await queryRows(manager, sql, [n])).toEqual([{ next: n + 1 }]);
      }
      expect((await preparedOn(manager)).filter(({ statement }) => statement === sql)).toEqual([
        { statement: sql, plans: '10' },
      ]);
    });
  });

  it('have the same name on all connections', async () => {
    const sql = `SELECT $1::text || pg_sleep(0.01)::text AS value`;
    const rows = await Promise.all([1, 2, 3, 4].map((n) => queryRows(test.dataSource.manager, sql, [n])));
    expect(rows).toEqual([1, 2, 3, 4].map((n) => [{ value: `${n}` }]));
  });

  it('can be run again after a failure', async () => {
    const sql = 'SELECT 1 / $1::int AS quotient';
    await expect(queryRows(test.dataSource.manager, sql, [0])).rejects.toThrow('division by zero');
    await expect(
      queryRows(test.dataSource.manager, 'SELECT nothing FROM nowhere WHERE $1', [1]),
    ).rejects.toThrow('nowhere');
    expect(await queryRows(test.dataSource.manager, sql, [1])).toEqual([{ quotient: 1 }]);
  });

  it('are not used without parameters', async () => {
    await onOneConnection(async (manager) => {
      await queryRows(manager, 'SELECT 42 AS value');
      const statements = (await preparedOn(manager)).map(({ statement }) => statement);
      expect(statements.filter((statement) => statement.includes('42'))).toEqual([]);
    });
  });

  it('are bounded in number', async () => {
    await onOneConnection(async (manager) => {
      for (let n = 0; n < 700; n += 1) await queryRows(manager, `SELECT $1::int AS "made up ${n}"`, [n]);
      const prepared = await preparedOn(manager);
      expect(prepared.length).toBeGreaterThan(100);
      expect(prepared.length).toBeLessThanOrEqual(500);
    });
  });
});

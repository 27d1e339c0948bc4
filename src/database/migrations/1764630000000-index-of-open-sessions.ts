import type { MigrationInterface, QueryRunner } from 'typeorm';

const NAME = 'uploads_unfinished_repository_idx';

/** Counts the open upload sessions of a repository, for their limit. Built without blocking pushes. */
export class IndexOfOpenSessions1764630000000 implements MigrationInterface {
  readonly name = 'IndexOfOpenSessions1764630000000';
  /** CONCURRENTLY can't run in a transaction. */
  readonly transaction = false;

  async up(queryRunner: QueryRunner): Promise<void> {
    // Waits for older transactions, for instance of a backup, without blocking other sessions.
    await queryRunner.query(`SET lock_timeout = '10min'`);
    try {
      // A failed attempt leaves an invalid index.
      await queryRunner.query(`DROP INDEX CONCURRENTLY IF EXISTS ${NAME}`);
      await queryRunner.query(
        `CREATE INDEX CONCURRENTLY ${NAME} ON uploads (repository) WHERE state IN ('open', 'committing')`,
      );
    } finally {
      await queryRunner.query(`RESET lock_timeout`);
    }
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`DROP INDEX ${NAME}`);
  }
}

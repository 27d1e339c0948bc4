import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * A page of the catalogue for callers that see some ranges of names only. The ranges are visited one after
 * the other, until the page is full. One statement over all ranges would read a page of each.
 */
export class RepositoryNamesFunction1764400000001 implements MigrationInterface {
  readonly name = 'RepositoryNamesFunction1764400000001';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE FUNCTION repository_names(from_names text[], to_names text[], after_name text, page_size integer)
        RETURNS SETOF text LANGUAGE plpgsql STABLE AS $$
      DECLARE
        missing integer := page_size;
        found_rows integer;
      BEGIN
        FOR i IN 1 .. cardinality(from_names) LOOP
          RETURN QUERY
            SELECT name FROM repositories
             WHERE name >= from_names[i] AND name > after_name AND name < to_names[i]
             ORDER BY name
             LIMIT missing;
          GET DIAGNOSTICS found_rows = ROW_COUNT;
          missing := missing - found_rows;
          EXIT WHEN missing <= 0;
        END LOOP;
      END
      $$`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP FUNCTION repository_names');
  }
}

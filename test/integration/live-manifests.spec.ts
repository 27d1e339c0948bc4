import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { queryRows } from '../../src/database/query-rows.js';
import { createTestDataSource } from '../support/test-data-source.js';

const SOURCES = join(import.meta.dirname, '../../src');

/** Migrations are history. The functions that they leave are in the second list. */
const MIGRATIONS = 'database/migrations/';

/** SQL that reads or writes deleted manifests on purpose. Everything else reads `live_manifests`. */
const SEES_DELETED: Readonly<Record<string, string>> = {
  'admin/deletions/deletions.query.ts': 'counts what a deletion deleted',
  'admin/repositories/usage.query.ts': 'tells what only deleted manifests need',
  'collection/forecast/forecast.query.ts': 'counts what will be purged',
};

/** The same of functions, views and triggers of the schema. */
const SCHEMA_SEES_DELETED: Readonly<Record<string, string>> = {
  live_manifests: 'is the view',
  put_manifest: 'writes; revives deleted manifests',
  soft_delete_manifest: 'writes',
  lock_images: 'locks what may be revived',
  images_being_purged: 'looks for deleted manifests',
  revive_manifests: 'writes',
  delete_tag: 'reads the manifest of a tag, which is live',
  restore_deletion: 'restores',
  restore_batch: 'restores',
  restore_tags: 'restores',
  request_purge: 'looks for indexes that can be restored',
  lasting_manifests: 'a forecast: has those that are being restored, too',
  following_tags: 'a forecast: reads live ones by id',
  manifests_led_to: 'a forecast: reads live ones by id',
  untagged_forecast: 'a forecast: looks only later at live ones, by the view',
  purgeable_manifests: 'selects deleted manifests for the collector',
  follow_deletion: 'the collector: reads what was deleted',
  delete_followers: 'the collector: writes',
  delete_untagged: 'the collector: writes',
  delete_untagged_by_event: 'the collector: looks at live ones only later',
  delete_untagged_by_push: 'the collector: looks at live ones only later',
  purge_deletions: 'the collector: purges',
  purge_manifests: 'the collector: purges',
  purge_repository: 'the collector: purges',
  prune_deletions: 'the collector: keeps deletions that are named',
  set_image_sizes: 'sizes are right again after a restoration',
  set_image_size_of_tag: 'reads the manifest of a tag, which is live',
  set_repository_of_manifest_blob: 'reads the repository of any manifest',
  set_repository_of_missing_reference: 'reads the repository of any manifest',
};

/** `manifests` as a table, not as a word. */
const TABLE =
  /\b(?:from|join|into|update|using|table)\s+(?:only\s+)?manifests\b|getRepository\(ManifestEntity/i;

describe('SQL that names the table of manifests', () => {
  it('is only where deleted manifests are meant, in the code', async () => {
    const files = (await readdir(SOURCES, { recursive: true })).filter(
      (file) => file.endsWith('.ts') && !file.endsWith('.spec.ts') && !file.startsWith(MIGRATIONS),
    );
    const texts = await Promise.all(files.map((file) => readFile(join(SOURCES, file), 'utf8')));
    const naming = files.filter((_, n) => TABLE.test(texts[n] ?? ''));
    expect(naming.sort()).toEqual(Object.keys(SEES_DELETED).sort());
  });

  it('is only where deleted manifests are meant, in the schema', async () => {
    const test = await createTestDataSource();
    try {
      const rows = await queryRows<{ name: string; text: string }>(
        test.dataSource.manager,
        `SELECT proname AS name, prosrc AS text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
          UNION ALL
         SELECT viewname, definition FROM pg_views WHERE schemaname = 'public'`,
      );
      const naming = rows.filter(({ text }) => TABLE.test(text)).map(({ name }) => name);
      expect(naming.sort()).toEqual(Object.keys(SCHEMA_SEES_DELETED).sort());
    } finally {
      await test.dispose();
    }
  });

  it.each([
    ['SELECT 1 FROM manifests m', true],
    ['DELETE FROM a USING manifests', true],
    ['JOIN live_manifests m', false],
    ['a list of manifests', false],
  ])('%s: %s', (text, expected) => {
    expect(TABLE.test(text)).toBe(expected);
  });
});

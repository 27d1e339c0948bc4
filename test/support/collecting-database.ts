import { Collector } from '../../src/collection/collector.js';
import { ForecastQuery } from '../../src/collection/forecast/forecast.query.js';
import { CollectionStore } from '../../src/collection/collection.store.js';
import { BlobsStage } from '../../src/collection/stages/blobs.stage.js';
import { DeletionsStage } from '../../src/collection/stages/deletions.stage.js';
import { FollowersStage } from '../../src/collection/stages/followers.stage.js';
import { LinksStage } from '../../src/collection/stages/links.stage.js';
import { SelfCheckStage } from '../../src/collection/stages/self-check.stage.js';
import { UntaggedStage } from '../../src/collection/stages/untagged.stage.js';
import { Configuration } from '../../src/config/configuration.js';
import { queryRows } from '../../src/database/query-rows.js';
import { ListQueries } from '../../src/database/list-queries.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import type { JobRun, JsonValue } from '../../src/jobs/job.js';
import type { Jobs } from '../../src/jobs/jobs.js';
import { digestOf } from './registry-client.js';
import { createTestDataSource, type TestDataSource } from './test-data-source.js';

/** What a manifest refers to. The digest of a manifest or blob is that of its name here. */
export interface TestManifest {
  readonly blobs?: readonly string[];
  readonly children?: readonly string[];
  readonly subject?: string;
  readonly tags?: readonly string[];
}

type Settings = Pick<
  Configuration,
  | 'gcGraceSeconds'
  | 'gcUndeleteSeconds'
  | 'gcUntaggedSeconds'
  | 'gcReadWindowSeconds'
  | 'gcBatchRows'
  | 'jobHistorySeconds'
>;

const NOW: Settings = {
  gcGraceSeconds: 0,
  gcUndeleteSeconds: 0,
  gcUntaggedSeconds: 0,
  gcReadWindowSeconds: 0,
  gcBatchRows: 500,
  jobHistorySeconds: 1_000_000,
};

/** A database that tests fill by the functions of pushes and deletions, and the collector on it. */
export class CollectingDatabase {
  readonly configuration = new Configuration();
  readonly collector: Collector;
  private cursor: JsonValue = null;

  private constructor(private readonly test: TestDataSource) {
    const { configuration } = this;
    const store = new CollectionStore(new UnitOfWork(test.dataSource), configuration);
    const stages = [
      new UntaggedStage(store, configuration),
      new FollowersStage(store),
      new DeletionsStage(store),
      new LinksStage(store),
      new BlobsStage(store),
      new SelfCheckStage(store),
    ];
    const jobs = { register: () => undefined } as unknown as Jobs;
    const forecast = new ForecastQuery(new ListQueries(test.dataSource), configuration);
    this.collector = new Collector(stages, forecast, configuration, jobs);
    this.set({});
  }

  static async create(): Promise<CollectingDatabase> {
    return new CollectingDatabase(await createTestDataSource());
  }

  get dataSource() {
    return this.test.dataSource;
  }

  get url(): string {
    return this.test.url;
  }

  dispose(): Promise<void> {
    return this.test.dispose();
  }

  /** Without a setting, its window is over at once. */
  set(settings: Partial<Settings>): void {
    Object.assign(this.configuration, NOW, settings);
  }

  rows<Row>(sql: string, parameters: unknown[] = []): Promise<Row[]> {
    return queryRows<Row>(this.dataSource.manager, sql, parameters);
  }

  /** One collection. Returns what it counted. */
  async collect(signal = new AbortController().signal): Promise<Record<string, number>> {
    const progress: Record<string, number> = {};
    const cursor = () => this.cursor;
    const run: JobRun = {
      signal,
      isDryRun: false,
      get cursor() {
        return cursor();
      },
      saveCursor: (saved) => (this.cursor = saved),
      count: (name, by = 1) => {
        if (by !== 0) progress[name] = (progress[name] ?? 0) + by;
      },
      verifyLease: () => Promise.resolve(),
    };
    for await (const _ of this.collector.run(run)) if (signal.aborted) break;
    return progress;
  }

  pushBlob(repository: string, blob: string): Promise<void> {
    return this.pushBlobs(repository, [blob]);
  }

  /** Blobs of 1 byte per character of their names, linked by the repository. */
  async pushBlobs(repository: string, blobs: readonly string[]): Promise<void> {
    await this.rows('SELECT ensure_repository($1)', [repository]);
    await this.rows(
      `WITH wanted AS (SELECT * FROM unnest($2::text[], $3::text[]) AS w (name, digest)),
       blob AS (
         INSERT INTO blobs (size_bytes, object_key)
         SELECT length(name), 'blobs/' || name || ' ' || digest FROM wanted
          WHERE NOT EXISTS (SELECT FROM blob_digests AS d WHERE d.digest = wanted.digest)
         RETURNING id, right(object_key, 71) AS digest),
       own AS (INSERT INTO blob_digests (digest, blob_id) SELECT digest, id FROM blob)
       INSERT INTO repository_blobs (repository_id, blob_id)
       SELECT (SELECT id FROM repositories WHERE name = $1), id
         FROM (SELECT id FROM blob
                UNION ALL
               SELECT d.blob_id FROM blob_digests AS d JOIN wanted ON wanted.digest = d.digest) AS found
           ON CONFLICT (repository_id, blob_id) DO UPDATE SET candidate_since = now(), hidden_at = NULL`,
      [repository, blobs, blobs.map((name) => digestOf(name))],
    );
  }

  /** Pushes a manifest, and the blobs that it refers to. Returns the names that are missing. */
  async push(repository: string, manifest: string, content: TestManifest = {}): Promise<string[]> {
    const { blobs = [], children = [], subject, tags = [] } = content;
    if (blobs.length > 0) await this.pushBlobs(repository, blobs);
    return this.put(repository, manifest, { blobs, children, tags, ...(subject && { subject }) });
  }

  /** Pushes a manifest alone. */
  async put(repository: string, manifest: string, content: TestManifest, acceptsMissing = true) {
    const { blobs = [], children = [], subject, tags = [] } = content;
    const [row] = await this.rows<{ missing: string[] }>(
      `SELECT put_manifest($1, $2, 'text/plain', NULL, $3, NULL, $4, $5, $6, $7, $8, NULL) AS missing`,
      [
        ...[repository, digestOf(manifest), subject === undefined ? null : digestOf(subject)],
        ...[
          Buffer.from(manifest),
          blobs.map((name) => digestOf(name)),
          children.map((name) => digestOf(name)),
        ],
        ...[acceptsMissing, tags],
      ],
    );
    const names = new Map([...blobs, ...children].map((name) => [digestOf(name), name]));
    return (row?.missing ?? []).map((digest) => names.get(digest) ?? digest);
  }

  /** Deletes a manifest as a request does. Returns the digest of an index that lists it. */
  async delete(repository: string, manifest: string): Promise<void> {
    const sql = 'SELECT * FROM soft_delete_manifest($1, $2, NULL)';
    const [row] = await this.rows<{ deleted: boolean | null }>(sql, [repository, digestOf(manifest)]);
    if (row?.deleted !== true) throw new Error(`${manifest} was not deleted: ${JSON.stringify(row)}`);
  }

  async deleteTag(repository: string, tag: string): Promise<void> {
    await this.rows('SELECT delete_tag($1, $2, NULL)', [repository, tag]);
  }

  async deleteRepository(repository: string): Promise<void> {
    await this.rows('SELECT delete_repository($1, NULL, NULL)', [repository]);
  }

  /** Restores the newest deletion. Returns why it was refused, if it was. */
  async restore(reference: string): Promise<string | undefined> {
    const [row] = await this.rows<{ result: { refused?: string } }>(
      `SELECT restore_deletion((SELECT max(id) FROM deletions WHERE reference = $1 OR repository = $1),
                               NULL, $2, 1000, NULL) AS result`,
      [reference, Math.max(this.configuration.gcUndeleteSeconds, 1_000)],
    );
    return row?.result.refused;
  }

  /** The content of manifests in tests is their name. */
  async manifests(condition: string): Promise<string[]> {
    const sql = `SELECT convert_from(content, 'UTF8') AS name FROM manifests m WHERE ${condition} ORDER BY 1`;
    return (await this.rows<{ name: string }>(sql)).map(({ name }) => name);
  }

  live(): Promise<string[]> {
    return this.manifests('deletion_id IS NULL');
  }

  deleted(): Promise<string[]> {
    return this.manifests('deletion_id IS NOT NULL');
  }

  async tags(): Promise<string[]> {
    return (await this.rows<{ name: string }>('SELECT name FROM tags ORDER BY 1')).map(({ name }) => name);
  }

  /** Links as `repository blob`. Hidden ones end in `?`. */
  async links(): Promise<string[]> {
    const rows = await this.rows<{ link: string }>(
      `SELECT coalesce(r.name, r.deleted_name) || ' '
                || regexp_replace(b.object_key, '^blobs/(.*) sha256:.*$', '\\1')
                || CASE WHEN l.hidden_at IS NULL THEN '' ELSE '?' END AS link
         FROM repository_blobs l
         JOIN repositories r ON r.id = l.repository_id
         JOIN blobs b ON b.id = l.blob_id
        ORDER BY 1`,
    );
    return rows.map(({ link }) => link);
  }

  async blobs(): Promise<string[]> {
    const sql = `SELECT regexp_replace(object_key, '^blobs/(.*) sha256:.*$', '\\1') AS name FROM blobs
                  ORDER BY 1`;
    return (await this.rows<{ name: string }>(sql)).map(({ name }) => name);
  }

  /** Removes everything. */
  async clear(): Promise<void> {
    await this.rows(
      `TRUNCATE deletions, object_deletions, repositories, blobs, tag_events, displaced_objects CASCADE`,
    );
    this.cursor = null;
    this.set({});
  }
}

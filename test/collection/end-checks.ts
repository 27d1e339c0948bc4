import type { Cluster } from '../chaos/cluster.js';
import type { RunResults } from '../chaos/run-results.js';
import type { ChaosStorage } from '../chaos/storage.js';
import type { CollectorDriver } from './collector-driver.js';
import type { ModelRepository } from './model-repository.js';

/** What waits for a collection. After all windows it reaches 0. */
const LEFT_TO_DO = `
  SELECT ((SELECT count(*) FROM deletions
            WHERE state IN ('restorable', 'restoring', 'purging') OR NOT followed)
        + (SELECT count(*) FROM repositories WHERE name IS NULL)
        + (SELECT count(*) FROM repository_blobs WHERE candidate_since IS NOT NULL)
        + (SELECT count(*) FROM blobs WHERE candidate_since IS NOT NULL)
        + (SELECT count(*) FROM uploads WHERE state IN ('open', 'committing'))
        + (SELECT count(*) FROM object_deletions))::int AS count`;

/** After all windows, rows and objects are those of the live manifests, and no others. */
export class EndChecks {
  constructor(
    private readonly cluster: Cluster,
    private readonly storage: ChaosStorage,
    private readonly results: RunResults,
    private readonly collector: CollectorDriver,
  ) {}

  async run(repositories: readonly ModelRepository[]): Promise<void> {
    await this.collector.collectUntil('everything to be collected', LEFT_TO_DO).catch((error: unknown) => {
      this.results.problem(String(error));
    });
    const manifests = new Set<string>();
    const links = new Set<string>();
    const tags = new Set<string>();
    for (const { name, state } of repositories) {
      for (const { digest, blobs } of state.liveImages()) {
        manifests.add(`${name} ${digest}`);
        for (const blob of blobs) links.add(`${name} ${blob}`);
      }
      for (const tag of state.tags.keys()) tags.add(`${name} ${tag}`);
    }
    const blobs = new Set([...links].map((link) => link.slice(link.indexOf(' ') + 1)));
    const digestOfBlob = `(SELECT digest FROM blob_digests d
                            WHERE d.blob_id = b.id AND digest LIKE 'sha256:%' LIMIT 1)`;
    await this.compare(
      'manifests',
      manifests,
      'r.name',
      'm.digest',
      'manifests m JOIN repositories r ON r.id = m.repository_id',
    );
    await this.compare(
      'tags',
      tags,
      'r.name',
      't.name',
      'tags t JOIN repositories r ON r.id = t.repository_id',
    );
    await this.compare(
      'links',
      links,
      'r.name',
      digestOfBlob,
      'repository_blobs l JOIN repositories r ON r.id = l.repository_id JOIN blobs b ON b.id = l.blob_id',
    );
    await this.compare('blobs', blobs, `''`, digestOfBlob, 'blobs b');
    await this.compareObjects();
    this.results.rows.push([
      'manifests, links and blobs in the end',
      `${manifests.size}, ${links.size}, ${blobs.size}`,
    ]);
  }

  private async compare(
    what: string,
    expected: ReadonlySet<string>,
    repository: string,
    name: string,
    from: string,
  ) {
    const sql = `SELECT trim(${repository} || ' ' || ${name}) AS name FROM ${from}`;
    const rows = await this.cluster.postgres.query<{ name: string | null }>(sql);
    this.report(what, expected, new Set(rows.map((row) => row.name ?? 'a deleted repository')));
  }

  /** The storage has the objects of the blobs' rows, and nothing else. */
  private async compareObjects(): Promise<void> {
    const sql = 'SELECT object_key FROM blobs';
    const rows = await this.cluster.postgres.query<{ object_key: string }>(sql);
    this.report('objects', new Set(rows.map((row) => row.object_key)), new Set(await this.storage.objects()));
    const inFlight = await this.storage.inFlight();
    if (inFlight.length > 0) this.garbage('unfinished uploads', inFlight);
  }

  private report(what: string, expected: ReadonlySet<string>, found: ReadonlySet<string>): void {
    const missing = [...expected].filter((name) => !found.has(name));
    const extra = [...found].filter((name) => !expected.has(name));
    if (missing.length > 0) {
      this.results.problem(
        `${missing.length} ${what} are missing in the end: ${missing.slice(0, 3).join('; ')}`,
      );
    }
    if (extra.length > 0) this.garbage(what, extra);
  }

  private garbage(what: string, names: readonly string[]): void {
    this.results.countOperation('garbage left');
    this.results.problem(`${names.length} ${what} are left in the end: ${names.slice(0, 3).join('; ')}`);
  }
}

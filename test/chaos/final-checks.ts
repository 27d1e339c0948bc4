import { createHash } from 'node:crypto';
import type { ChaosAccess } from './chaos-access.js';
import type { Cluster } from './cluster.js';
import type { Deadline } from './deadline.js';
import type { ImageLoad } from './image-load.js';
import type { RunResults } from './run-results.js';
import { LEASE_SECONDS } from './settings.js';
import type { ChaosStorage } from './storage.js';

/** For hangs only. */
const LEASE_SLACK_SECONDS = 120;
const REAP_SECONDS = 240;
const REAPED_TTL_SECONDS = 2;
const READERS = 4;

/** What must be true of the cluster after all faults have ended. */
export class FinalChecks {
  constructor(
    private readonly url: string,
    private readonly cluster: Cluster,
    private readonly storage: ChaosStorage,
    private readonly results: RunResults,
    private readonly deadline: Deadline,
    private readonly images: ImageLoad,
    private readonly access: ChaosAccess,
  ) {}

  async run(): Promise<void> {
    await this.cluster.allUp();
    this.results.progressed();
    await this.noLeaseIsStuck();
    await Promise.all([this.everyDigestReadsBack(), this.images.check()]);
    this.results.progressed();
    this.results.note('everything was read back');
    await this.nothingIsLeftAfterTheReap();
  }

  /** Without writers, each lease has been released, or expires because its holder is dead. */
  private async noLeaseIsStuck(): Promise<void> {
    await this.countReaches0(
      'every lease to be released or to expire',
      'lease_holder IS NOT NULL AND lease_expires_at > clock_timestamp()',
      LEASE_SECONDS + LEASE_SLACK_SECONDS,
    );
  }

  private async everyDigestReadsBack(): Promise<void> {
    const waiting = [...this.results.committed.values()];
    const read = async () => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        const { repository, digest } = next;
        await this.readBack(repository, digest).catch((error: unknown) => {
          this.results.problem(`${repository} ${digest} can't be read back: ${String(error)}`);
        });
      }
    };
    await Promise.all(Array.from({ length: READERS }, read));
  }

  private async readBack(repository: string, digest: string): Promise<void> {
    const path = `/v2/${repository}/blobs/${digest}`;
    const headers = await this.access.headers(this.url, path);
    const response = await fetch(new URL(path, this.url), { headers });
    const hash = createHash('sha256');
    const body: AsyncIterable<Uint8Array> | null = response.body;
    for await (const chunk of body ?? []) hash.update(chunk);
    const received = `sha256:${hash.digest('hex')}`;
    this.results.progressed();
    if (response.status === 200 && received === digest) return;
    this.results.problem(`${repository} ${digest} reads back as ${response.status} ${received}`);
  }

  private async nothingIsLeftAfterTheReap(): Promise<void> {
    await this.storage.writeOrphans();
    await this.cluster.restartReplicas({ UPLOAD_TTL_SECONDS: String(REAPED_TTL_SECONDS) });
    this.results.progressed();
    this.results.note('the replicas run with a short TTL');
    await this.countReaches0(
      'every idle upload to be reaped',
      `state IN ('open', 'committing')`,
      REAP_SECONDS,
    );
    await this.countReaches0('every lease to be cleared', 'lease_holder IS NOT NULL', REAP_SECONDS);
    this.results.note('every session has ended');
    let left = '';
    const clean = async () => (left = await this.leftOver()) === '';
    await this.deadline.until('the reap', clean, REAP_SECONDS).catch(() => {
      this.results.problem(`left after the reap: ${left}`);
    });
  }

  private async leftOver(): Promise<string> {
    const rows = await this.cluster.postgres.query<{ object_key: string }>('SELECT object_key FROM blobs');
    const known = new Set(rows.map((row) => row.object_key));
    const found = new Set(await this.storage.objects());
    const inFlight = await this.storage.inFlight();
    const unknown = [...found].filter((key) => !known.has(key));
    const missing = [...known].filter((key) => !found.has(key));
    const lists = { 'in flight': inFlight, 'of no row': unknown, missing: missing };
    const texts = Object.entries(lists).filter(([, list]) => list.length > 0);
    return texts.map(([what, list]) => `${list.length} ${what} (${list.slice(0, 3).join(', ')})`).join('; ');
  }

  private async countReaches0(what: string, condition: string, seconds: number): Promise<void> {
    let count = 0;
    const holds = async () => {
      const sql = `SELECT count(*)::int AS count FROM uploads WHERE ${condition}`;
      count = (await this.cluster.postgres.query<{ count: number }>(sql))[0]?.count ?? 0;
      return count === 0;
    };
    await this.deadline.until(what, holds, seconds).catch((error: unknown) => {
      this.results.problem(`${String(error)}: ${count} left`);
    });
  }
}

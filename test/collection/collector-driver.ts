import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { Cluster } from '../chaos/cluster.js';
import type { Deadline } from '../chaos/deadline.js';
import type { Replica } from '../chaos/replica.js';
import type { RunResults } from '../chaos/run-results.js';
import type { SeededRandom } from '../chaos/seeded-random.js';
import type { ReplicaRequests } from './replica-requests.js';

const RUNS = '/api/v1/jobs/collect/runs';
const POLL_MS = 25;
/** For hangs only. */
const RUN_SECONDS = 240;
/** A run begins this long before its process is killed, at most. */
const MAX_BEFORE_KILL_MS = 50;
/** Runs begin every second. */
const FIND_MS = 3_000;

/** Starts collections, and kills the processes that run them. */
export class CollectorDriver {
  kills = 0;

  constructor(
    private readonly cluster: Cluster,
    private readonly requests: ReplicaRequests,
    private readonly results: RunResults,
    private readonly random: SeededRandom,
    private readonly deadline: Deadline,
  ) {}

  /**
   * Collects again and again. Kills the collecting replica in the middle while `wantsKill`, also the one that
   * continues the run: while clients make garbage, a run may not end.
   */
  async work(isOver: () => boolean, wantsKill: () => boolean): Promise<void> {
    while (!isOver()) {
      const id = await this.begin();
      if (wantsKill() && (await this.killHolder(id))) this.kills += 1;
      await this.end(id, () => isOver() || wantsKill());
      await delay(this.random.int(0, 200));
    }
  }

  /** One whole run. */
  async collect(): Promise<void> {
    await this.end(await this.begin());
  }

  /** Runs until nothing is left of what the SQL counts. */
  async collectUntil(what: string, count: string, seconds = RUN_SECONDS): Promise<void> {
    await this.deadline.until(
      what,
      async () => {
        await this.collect();
        const [row] = await this.cluster.postgres.query<{ count: number }>(count);
        if (row?.count !== 0) await delay(100);
        return row?.count === 0;
      },
      seconds,
    );
  }

  /** Starts a run, or finds the one that has not ended. */
  private async begin(): Promise<string | undefined> {
    const { status, json, body } = await this.requests.json('POST', RUNS, {});
    if (status === 409) return this.unfinished();
    if (status >= 300) {
      this.requests.wrong(`POST ${RUNS} returned ${status}: ${body.toString('utf8').slice(0, 300)}`);
      return undefined;
    }
    return (json as { id: string }).id;
  }

  private async unfinished(): Promise<string | undefined> {
    const sql = `SELECT run_id FROM jobs WHERE name = 'collect'`;
    const [row] = await this.cluster.postgres.query<{ run_id: string | null }>(sql);
    return row?.run_id ?? undefined;
  }

  /** Waits for the end of a run, or until `isEnough`. */
  private async end(id: string | undefined, isEnough = () => false): Promise<void> {
    if (id === undefined) return;
    const sql = 'SELECT state, error FROM job_runs WHERE id = $1';
    let run: { state: string; error: string | null } | undefined;
    const hasEnded = async () => {
      [run] = await this.cluster.postgres.query<{ state: string; error: string | null }>(sql, [id]);
      if (run !== undefined && ['queued', 'running'].includes(run.state)) await delay(POLL_MS);
      return run === undefined || !['queued', 'running'].includes(run.state) || isEnough();
    };
    await this.deadline.until(`collection ${id} to end`, hasEnded, RUN_SECONDS);
    if (run?.state === 'failed') this.requests.wrong(`collection ${id} failed: ${run.error}`);
  }

  /** Kills the process that runs it, soon after it began. Returns false if the run has ended before. */
  private async killHolder(id: string | undefined): Promise<boolean> {
    const holder = await this.holderOf(id);
    const replica = holder === undefined ? undefined : await this.replicaOf(holder);
    if (replica === undefined || !replica.isUp) return false;
    await delay(this.random.int(0, MAX_BEFORE_KILL_MS));
    replica.kill();
    await replica.gone();
    this.results.note(`killed replica ${replica.index}, which collected`);
    await this.cluster.allUp();
    return true;
  }

  /** The process that runs it, as soon as one does. Undefined if the run has ended. */
  private async holderOf(id: string | undefined): Promise<string | undefined> {
    const sql = `SELECT holder FROM jobs WHERE name = 'collect' AND (run_id = $1 OR $1 IS NULL)`;
    // One connection: a new one takes as long as a short run.
    const client = new pg.Client({ connectionString: this.cluster.postgres.url });
    await client.connect();
    try {
      for (const endsAt = performance.now() + FIND_MS; performance.now() < endsAt;) {
        const { rows } = await client.query<{ holder: string | null }>(sql, [id ?? null]);
        const [row] = rows;
        if (row === undefined) return undefined;
        if (row.holder !== null) return row.holder;
      }
      return undefined;
    } finally {
      await client.end();
    }
  }

  /** A holder is named `host/pid/uuid`. The process may be a worker of the replica. */
  private async replicaOf(holder: string): Promise<Replica | undefined> {
    const stat = await readFile(`/proc/${holder.split('/').at(-2)}/stat`, 'utf8').catch(() => '');
    // After the name in brackets: state, parent, process group.
    const group = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]);
    return this.cluster.replicas.find(({ pid }) => pid === group);
  }
}

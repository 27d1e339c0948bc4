import type { Cluster } from '../chaos/cluster.js';
import type { Deadline } from '../chaos/deadline.js';
import type { Reply, ReplicaRequests } from './replica-requests.js';
import type { KnownDeletion } from './repository-state.js';

export interface DeletionRow {
  readonly id: string;
  readonly state: 'restorable' | 'restoring' | 'restored' | 'purging' | 'purged';
}

/** A restore of thousands of manifests continues in a job. For hangs only. */
const RESTORED_SECONDS = 120;

/** Restores and purges deletions, as an operator does. */
export class DeletionRequests {
  constructor(
    private readonly cluster: Cluster,
    private readonly requests: ReplicaRequests,
    private readonly deadline: Deadline,
  ) {}

  /** The newest deletion of a tag, manifest or repository. */
  async find({ kind, repository, reference }: KnownDeletion): Promise<DeletionRow | undefined> {
    const [row] = await this.cluster.postgres.query<DeletionRow & Record<string, unknown>>(
      `SELECT id, state FROM deletions
        WHERE repository = $1 AND kind = $2 AND ($2 = 'repository' OR reference = $3)
        ORDER BY id DESC LIMIT 1`,
      [repository, kind, reference ?? null],
    );
    return row;
  }

  deleteRepository(name: string): Promise<Reply> {
    return this.requests.json('DELETE', `/api/v1/repositories/${name}`);
  }

  /** Restores it, and returns whether it is restored; otherwise the windows have ended. */
  async restore(id: string, as?: string): Promise<boolean> {
    const reply = await this.requests.json('POST', `/api/v1/deletions/${id}/restore`, as && { as });
    if (reply.status === 202) {
      const ended = async () => (await this.stateOf(id)) !== 'restoring';
      await this.deadline.until(`the restore of deletion ${id}`, ended, RESTORED_SECONDS);
    }
    if (reply.status >= 200 && reply.status < 300) return true;
    // An earlier attempt may have done it.
    if (reply.wasRepeated && (await this.stateOf(id)) === 'restored') return true;
    if (reply.status !== 409 && reply.status !== 404) {
      this.requests.wrong(`the restore of deletion ${id} returned ${reply.status}: ${reply.body.toString()}`);
    }
    return false;
  }

  /** Ends its windows. Returns whether that was possible. */
  async purge(id: string): Promise<boolean> {
    const reply = await this.requests.json('POST', `/api/v1/deletions/${id}/purge`);
    if (reply.status >= 200 && reply.status < 300) return true;
    if (reply.status !== 409 && reply.status !== 404) {
      this.requests.wrong(`the purge of deletion ${id} returned ${reply.status}: ${reply.body.toString()}`);
    }
    return false;
  }

  async stateOf(id: string): Promise<DeletionRow['state'] | undefined> {
    const sql = 'SELECT id, state FROM deletions WHERE id = $1';
    const [row] = await this.cluster.postgres.query<DeletionRow & Record<string, unknown>>(sql, [id]);
    return row?.state;
  }
}

import type { CollectorDriver } from './collector-driver.js';
import type { Windows } from './collection-settings.js';
import type { ModelChecks } from './model-checks.js';
import type { ModelRepository, ModelTools } from './model-repository.js';

const UNFOLLOWED = `SELECT count(*)::int AS count FROM deletions WHERE NOT followed AND state <> 'purged'`;
/** Deletions restored in each repository. */
const RESTORES = 4;
const DAY = 86_400;

/** What must be true while no client works. */
export class PauseChecks {
  constructor(
    private readonly tools: ModelTools,
    private readonly checks: ModelChecks,
    private readonly collector: CollectorDriver,
  ) {}

  async run(repositories: readonly ModelRepository[], windows: Windows): Promise<void> {
    await this.collector.collectUntil('every deletion to be followed', UNFOLLOWED);
    await each(repositories, (on) => this.checks.resolve(on));
    if (windows.untagged === 0) {
      const isRestorable = windows.undelete >= DAY;
      if (isRestorable) await each(repositories, (on) => this.restores(on));
      await this.followers(repositories, isRestorable);
    }
    await each(repositories, (on) => this.checks.everything(on));
  }

  /** Deletes a manifest of each repository: its followers go, and nothing else. */
  private async followers(repositories: readonly ModelRepository[], isRestorable: boolean): Promise<void> {
    const { random, requests, results } = this.tools;
    const roots = new Map<ModelRepository, string>();
    const before = new Map(repositories.map((on) => [on, on.state.copy()]));
    for (const on of repositories) {
      const { state } = on;
      const free = state.liveImages().filter(({ digest }) => state.liveParentOf(digest) === undefined);
      const leading = free.filter(({ digest }) => state.followersOf([digest]).size > 0);
      if (free.length === 0) continue;
      const root = random.pick(leading.length > 0 ? leading : free).digest;
      const reply = await requests.send('DELETE', `/v2/${on.name}/manifests/${root}`);
      if (reply.status !== 202) requests.wrong(`DELETE of ${on.name} ${root} returned ${reply.status}`);
      roots.set(on, root);
      on.deleted('manifest', root);
    }
    await this.collector.collectUntil('every deletion to be followed', UNFOLLOWED);
    for (const [on, root] of roots) {
      const { state } = on;
      for (const { digest } of state.unsureImages()) {
        results.countOperation('follower checked');
        if (await this.checks.exists(on, `manifests/${digest}`)) {
          requests.wrong(`${on.name}: ${digest} did not follow ${root}, which was deleted`);
        }
      }
      for (const tag of state.unsureTags.keys()) {
        if (await this.checks.exists(on, `manifests/${tag}`)) {
          requests.wrong(`${on.name}: the tag ${tag} did not follow ${root}, which was deleted`);
        }
      }
      state.resolve(new Set(), new Set());
      await this.checks.lists(on);
      const whole = before.get(on);
      if (!isRestorable || whole === undefined) continue;
      await this.restoreWhole(on, root);
      state.become(whole);
      await this.checks.lists(on);
    }
  }

  private async restores(on: ModelRepository): Promise<void> {
    const { random, results } = this.tools;
    for (const known of random.shuffled(on.restorable()).slice(0, RESTORES)) {
      // A restore may bring back what another deletion had.
      if (!on.restorable().includes(known)) continue;
      const row = await this.tools.deletions.find(known);
      if (row === undefined || !(await this.tools.deletions.restore(row.id))) {
        this.tools.requests.wrong(`${on.name}: the deletion of ${known.reference} could not be restored`);
        continue;
      }
      results.countOperation('restored in a pause');
      on.restored(known);
      await this.checks.resolve(on);
      on.dropKnown(known);
      await this.checks.lists(on);
    }
  }

  private async restoreWhole(on: ModelRepository, root: string): Promise<void> {
    const known = on.deletions.find(({ reference }) => reference === root);
    const row = known && (await this.tools.deletions.find(known));
    if (row === undefined || !(await this.tools.deletions.restore(row.id))) {
      this.tools.requests.wrong(`${on.name}: the deletion of ${root} could not be restored`);
    }
    this.tools.results.countOperation('restored with its followers');
  }
}

/** For one after another: a repository's writer is idle. */
async function each(
  repositories: readonly ModelRepository[],
  check: (on: ModelRepository) => Promise<void>,
): Promise<void> {
  for (const on of repositories) await check(on);
}

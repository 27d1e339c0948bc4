import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster } from './cluster.js';
import type { FaultTimeline } from './fault-timeline.js';
import { ResendCost } from './resend-cost.js';
import type { Cut, Exchange } from './exchange.js';
import { type ClusterFault, type Fault, isClusterFault, type StorageFault } from './fault-kinds.js';
import type { RunResults } from './run-results.js';
import { holdsWithin } from './holds-within.js';
import type { ChaosProxy } from './proxy.js';
import type { Replica } from './replica.js';
import type { SeededRandom } from './seeded-random.js';
import { LEASE_SECONDS, type MillisecondRange } from './settings.js';
import { type ChaosStorage, measuresUnrecorded } from './storage.js';

const LEASE_MS = LEASE_SECONDS * 1000;
/** A frozen replica blocks a transaction of another one. Not always possible, so only counted. */
const BLOCKING_FREEZE = '… frozen while others waited for its transaction';
const BLOCKING_ATTEMPTS = 20;
const FREEZE_LOOK_MS = 50;
/** How long a fault waits for a target. */
const TARGET_MS = 2_000;
/** For hangs only: the time for a target to recover or to stop. */
const RECOVERY_MS = 120_000;

/** Each kind of fault: finds a target, injects the fault, and resolves when the target has recovered. */
export class Faults {
  /** Targets with a fault. They get no other one until they have recovered. */
  private readonly busy = new Set<Replica | 'postgres' | 'storage'>();
  private readonly cost: ResendCost | undefined;
  private readonly kinds: Readonly<Record<ClusterFault, (random: SeededRandom) => Promise<void>>> = {
    'replica killed (kill -9)': (random) => this.onReplica(random, (replica) => this.kill(replica, random)),
    'worker killed (kill -9)': (random) => this.killWorker(random),
    'replica stopped (SIGTERM)': (random) => this.onReplica(random, (replica) => this.terminate(replica)),
    'replica frozen for less than its lease': (random) => {
      const kind = 'replica frozen for less than its lease';
      return this.onReplica(random, (replica) => this.freeze(kind, replica, random.int(200, LEASE_MS / 2)));
    },
    'replica frozen beyond its lease': (random) => {
      const kind = 'replica frozen beyond its lease';
      const forMs = LEASE_MS + random.int(1_000, 2_500);
      return this.onReplica(random, (replica) => this.freeze(kind, replica, forMs));
    },
    'replica frozen beyond the timeouts of the database': (random) => {
      const kind = 'replica frozen beyond the timeouts of the database';
      const { least, most } = this.longFreezeMs;
      const forMs = random.int(least, most);
      // No fault of Postgres meanwhile: other replicas are affected by the freeze alone.
      return this.withoutPostgresFaults(() =>
        this.onReplica(random, async (replica) => {
          await this.awaitOthers();
          await this.awaitBlocking(replica, random);
          await this.freeze(kind, replica, forMs);
        }),
      );
    },
    'Postgres restarted': () => this.onPostgres('Postgres restarted', (postgres) => postgres.restart()),
    'Postgres killed (kill -9)': () => {
      return this.onPostgres('Postgres killed (kill -9)', (postgres) => postgres.killAndRestart());
    },
    'Postgres session killed (kill -9)': () => {
      return this.onPostgres('Postgres session killed (kill -9)', (postgres) => postgres.killBackend());
    },
    'connection cut on the client side': (random) => this.cut('on the client side', random),
    'connection cut on the replica side': (random) => this.cut('on the replica side', random),
    'client gone, connection left open': (random) => this.cut('silently', random),
  };

  constructor(
    private readonly cluster: Cluster,
    private readonly storage: ChaosStorage,
    private readonly proxy: ChaosProxy,
    private readonly results: RunResults,
    private readonly timeline: FaultTimeline,
    private readonly longFreezeMs: MillisecondRange,
  ) {
    if (storage.problem !== undefined) results.impossible.set('disk full', 'needs root');
    if (process.platform !== 'linux') results.impossible.set('worker killed (kill -9)', 'needs /proc');
    this.cost = measuresUnrecorded(storage) ? new ResendCost(cluster.postgres, storage, results) : undefined;
  }

  inject(fault: Fault, random: SeededRandom): Promise<void> {
    return isClusterFault(fault) ? this.kinds[fault](random) : this.onStorage(fault, random);
  }

  private async kill(replica: Replica, random: SeededRandom): Promise<void> {
    const written = [...new Set(this.proxy.sending(replica.index).map(({ uploadId }) => uploadId ?? ''))];
    replica.kill();
    this.results.injected('replica killed (kill -9)', `${replica.index}, writing ${written.join(' ')}`);
    await replica.gone();
    await this.cost?.measure(written);
    await delay(random.int(0, 1_000));
  }

  /**
   * Only the first replica has workers. The other worker continues, and a new one is started. If the other
   * one doesn't serve yet, because it is itself new, the replica is down until one serves.
   */
  private async killWorker(random: SeededRandom): Promise<void> {
    const [replica] = this.cluster.replicas;
    if (replica === undefined) return;
    await holdsWithin(TARGET_MS, () => replica.isUp && !this.busy.has(replica));
    await this.exclusively(replica, async () => {
      const killed = await replica.killWorker(random);
      if (killed === undefined) return;
      this.results.injected('worker killed (kill -9)');
      await holdsWithin(RECOVERY_MS, () => replica.hasServingWorker(killed));
    });
  }

  private async terminate(replica: Replica): Promise<void> {
    replica.terminate();
    this.results.injected('replica stopped (SIGTERM)', `${replica.index}`);
    const ended = await holdsWithin(RECOVERY_MS, () => !replica.isUp);
    if (!ended) this.results.problem(`replica ${replica.index} did not stop after SIGTERM`);
  }

  private async freeze(kind: ClusterFault, replica: Replica, forMs: number): Promise<void> {
    const end = this.timeline.begin('frozen');
    replica.freeze();
    this.results.injected(kind, `${replica.index} for ${forMs} ms`);
    await delay(forMs);
    replica.thaw();
    end();
  }

  /** Waits until the other replicas are healthy, to measure how the freeze affects them. */
  private async awaitOthers(): Promise<void> {
    const { replicas } = this.cluster;
    await holdsWithin(RECOVERY_MS, () => replicas.every(({ isUp }) => isUp) && this.busy.size <= 2);
  }

  /**
   * Tries to leave a replica frozen while others wait for its transaction: that is when a freeze affects them
   * most.
   */
  private async awaitBlocking(replica: Replica, random: SeededRandom): Promise<void> {
    for (let attempt = 0; attempt < BLOCKING_ATTEMPTS; attempt += 1) {
      replica.freeze();
      await delay(FREEZE_LOOK_MS);
      if (await this.cluster.postgres.isBlockedByIdle()) {
        this.results.countOperation(BLOCKING_FREEZE);
        return;
      }
      replica.thaw();
      await delay(random.int(5, 50));
    }
  }

  /** One fault of Postgres at a time. */
  private async onPostgres(
    fault: Fault,
    work: (postgres: Cluster['postgres']) => Promise<boolean>,
  ): Promise<void> {
    const { postgres } = this.cluster;
    await holdsWithin(RECOVERY_MS, () => !this.busy.has('postgres'));
    await this.exclusively('postgres', async () => {
      this.results.note(`${fault}: begins`);
      if (await work(postgres)) this.results.injected(fault);
      const isReady = await holdsWithin(RECOVERY_MS, () => postgres.isReady());
      if (!isReady) this.results.problem('Postgres did not recover');
    });
  }

  /** One fault of the storage at a time. */
  private async onStorage(fault: StorageFault, random: SeededRandom): Promise<void> {
    await holdsWithin(RECOVERY_MS, () => !this.busy.has('storage'));
    await this.exclusively('storage', async () => {
      if (this.results.impossible.has(fault)) return;
      await this.storage.inject(fault, random, (detail) => this.results.injected(fault, detail));
    });
  }

  private async cut(where: Cut, random: SeededRandom): Promise<void> {
    let target: Exchange | undefined;
    await holdsWithin(TARGET_MS, () => {
      const sending = this.proxy.sending();
      target = sending.length === 0 ? undefined : random.pick(sending);
      return target !== undefined;
    });
    if (target === undefined) return;
    target.cut(where);
    const kind: Fault =
      where === 'silently' ? 'client gone, connection left open' : `connection cut ${where}`;
    this.results.injected(
      kind,
      `${target.uploadId} at replica ${target.replica} after ${target.bodyBytes} bytes`,
    );
  }

  /** Injects a fault into a replica that is up, usually the one that has received most bytes in progress. */
  private async onReplica(random: SeededRandom, work: (replica: Replica) => Promise<void>): Promise<void> {
    const healthy = () => this.cluster.replicas.filter((replica) => replica.isUp && !this.busy.has(replica));
    const received = ({ index }: Replica) => {
      return this.proxy.sending(index).reduce((sum, { bodyBytes }) => sum + bodyBytes, 0);
    };
    await holdsWithin(TARGET_MS, () => healthy().some((replica) => received(replica) > 0));
    const candidates = healthy().sort((a, b) => received(b) - received(a));
    const replica = random.chance(0.7) ? candidates[0] : candidates.at(-1);
    if (replica === undefined) return;
    await this.exclusively(replica, async () => {
      await work(replica);
      await holdsWithin(RECOVERY_MS, () => replica.isUp);
    });
  }

  private async withoutPostgresFaults(work: () => Promise<void>): Promise<void> {
    await holdsWithin(RECOVERY_MS, () => !this.busy.has('postgres'));
    if (this.busy.has('postgres')) return;
    this.busy.add('postgres');
    await work().finally(() => this.busy.delete('postgres'));
  }

  private async exclusively(
    what: Replica | 'postgres' | 'storage',
    work: () => Promise<void>,
  ): Promise<void> {
    if (this.busy.has(what)) return;
    this.busy.add(what);
    const end = this.timeline.begin(typeof what === 'string' ? what : `replica ${what.index}`);
    try {
      await work();
    } finally {
      end();
      this.busy.delete(what);
    }
  }
}

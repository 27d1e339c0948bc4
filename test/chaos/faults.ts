import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster } from './cluster.js';
import type { Conditions } from './conditions.js';
import { CostOfAKill } from './cost-of-a-kill.js';
import type { Cut, Exchange } from './exchange.js';
import { type ClusterFault, type Fault, isClusterFault, type StorageFault } from './fault-kinds.js';
import type { Ledger } from './ledger.js';
import { holdsWithin } from './patience.js';
import type { ChaosProxy } from './proxy.js';
import type { Replica } from './replica.js';
import type { SeededRandom } from './seeded-random.js';
import { LEASE_SECONDS, type MillisecondRange } from './settings.js';
import { type ChaosStorage, tellsUnrecorded } from './storage.js';

const LEASE_MS = LEASE_SECONDS * 1000;
/** A frozen replica holds up a transaction of another one: not always possible, but worth knowing. */
const BLOCKING_FREEZE = '… frozen while others waited for its transaction';
const BLOCKING_ATTEMPTS = 20;
const FREEZE_LOOK_MS = 50;
/** How long a fault waits for something that it can happen to. */
const TARGET_MS = 2_000;
/** For hangs only: the time for a target to recover or to stop. */
const RECOVERY_MS = 120_000;

/**
 * Each kind of fault: finds something that it can happen to, does it, and settles when that is well again.
 */
export class Faults {
  /** What is out of order already and is left alone until it is well again. */
  private readonly busy = new Set<Replica | 'postgres' | 'storage'>();
  private readonly cost: CostOfAKill | undefined;
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
      // Nothing happens to Postgres meanwhile: what others suffer is due to the freeze alone.
      return this.sparingPostgres(() =>
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
    'client vanished without a word': (random) => this.cut('silently', random),
  };

  constructor(
    private readonly cluster: Cluster,
    private readonly storage: ChaosStorage,
    private readonly proxy: ChaosProxy,
    private readonly ledger: Ledger,
    private readonly conditions: Conditions,
    private readonly longFreezeMs: MillisecondRange,
  ) {
    if (storage.problem !== undefined) ledger.impossible.set('disk full', 'needs root');
    if (process.platform !== 'linux') ledger.impossible.set('worker killed (kill -9)', 'needs /proc');
    this.cost = tellsUnrecorded(storage) ? new CostOfAKill(cluster.postgres, storage, ledger) : undefined;
  }

  inject(fault: Fault, random: SeededRandom): Promise<void> {
    return isClusterFault(fault) ? this.kinds[fault](random) : this.onStorage(fault, random);
  }

  private async kill(replica: Replica, random: SeededRandom): Promise<void> {
    const written = [...new Set(this.proxy.sending(replica.index).map(({ uploadId }) => uploadId ?? ''))];
    replica.kill();
    this.ledger.injected('replica killed (kill -9)', `${replica.index}, writing ${written.join(' ')}`);
    await replica.gone();
    await this.cost?.measure(written);
    await delay(random.int(0, 1_000));
  }

  /** Of the first replica, which alone has workers. The other one goes on, and a new one comes. */
  private async killWorker(random: SeededRandom): Promise<void> {
    const [replica] = this.cluster.replicas;
    if (replica === undefined) return;
    await holdsWithin(TARGET_MS, () => replica.isUp && !this.busy.has(replica));
    await this.alone(replica, async () => {
      if (await replica.killWorker(random)) this.ledger.injected('worker killed (kill -9)');
    });
  }

  private async terminate(replica: Replica): Promise<void> {
    replica.terminate();
    this.ledger.injected('replica stopped (SIGTERM)', `${replica.index}`);
    const ended = await holdsWithin(RECOVERY_MS, () => !replica.isUp);
    if (!ended) this.ledger.problem(`replica ${replica.index} did not stop after SIGTERM`);
  }

  private async freeze(kind: ClusterFault, replica: Replica, forMs: number): Promise<void> {
    const end = this.conditions.begin('frozen');
    replica.freeze();
    this.ledger.injected(kind, `${replica.index} for ${forMs} ms`);
    await delay(forMs);
    replica.thaw();
    end();
  }

  /** Until the others are well, so that it can be seen what a freeze costs them. */
  private async awaitOthers(): Promise<void> {
    const { replicas } = this.cluster;
    await holdsWithin(RECOVERY_MS, () => replicas.every(({ isUp }) => isUp) && this.busy.size <= 2);
  }

  /**
   * Leaves a replica frozen in the middle of a transaction that others wait for, when that comes about within
   * some attempts: that is when a freeze costs the others most.
   */
  private async awaitBlocking(replica: Replica, random: SeededRandom): Promise<void> {
    for (let attempt = 0; attempt < BLOCKING_ATTEMPTS; attempt += 1) {
      replica.freeze();
      await delay(FREEZE_LOOK_MS);
      if (await this.cluster.postgres.isBlockedByIdle()) {
        this.ledger.did(BLOCKING_FREEZE);
        return;
      }
      replica.thaw();
      await delay(random.int(5, 50));
    }
  }

  /** Each kind in its turn. */
  private async onPostgres(
    fault: Fault,
    work: (postgres: Cluster['postgres']) => Promise<boolean>,
  ): Promise<void> {
    const { postgres } = this.cluster;
    await holdsWithin(RECOVERY_MS, () => !this.busy.has('postgres'));
    await this.alone('postgres', async () => {
      this.ledger.note(`${fault}: begins`);
      if (await work(postgres)) this.ledger.injected(fault);
      const answers = await holdsWithin(RECOVERY_MS, () => postgres.answers());
      if (!answers) this.ledger.problem('Postgres did not come back');
    });
  }

  /** Where there are several kinds, each in its turn. */
  private async onStorage(fault: StorageFault, random: SeededRandom): Promise<void> {
    await holdsWithin(RECOVERY_MS, () => !this.busy.has('storage'));
    await this.alone('storage', async () => {
      if (this.ledger.impossible.has(fault)) return;
      await this.storage.suffer(fault, random, (detail) => this.ledger.injected(fault, detail));
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
    const kind: Fault = where === 'silently' ? 'client vanished without a word' : `connection cut ${where}`;
    this.ledger.injected(
      kind,
      `${target.uploadId} at replica ${target.replica} after ${target.bodyBytes} bytes`,
    );
  }

  /**
   * Chooses a replica that is up, mostly the one that has received most of what is being sent, and has it to
   * itself.
   */
  private async onReplica(random: SeededRandom, work: (replica: Replica) => Promise<void>): Promise<void> {
    const well = () => this.cluster.replicas.filter((replica) => replica.isUp && !this.busy.has(replica));
    const received = ({ index }: Replica) => {
      return this.proxy.sending(index).reduce((sum, { bodyBytes }) => sum + bodyBytes, 0);
    };
    await holdsWithin(TARGET_MS, () => well().some((replica) => received(replica) > 0));
    const candidates = well().sort((a, b) => received(b) - received(a));
    const replica = random.chance(0.7) ? candidates[0] : candidates.at(-1);
    if (replica === undefined) return;
    await this.alone(replica, async () => {
      await work(replica);
      await holdsWithin(RECOVERY_MS, () => replica.isUp);
    });
  }

  private async sparingPostgres(work: () => Promise<void>): Promise<void> {
    await holdsWithin(RECOVERY_MS, () => !this.busy.has('postgres'));
    if (this.busy.has('postgres')) return;
    this.busy.add('postgres');
    await work().finally(() => this.busy.delete('postgres'));
  }

  private async alone(what: Replica | 'postgres' | 'storage', work: () => Promise<void>): Promise<void> {
    if (this.busy.has(what)) return;
    this.busy.add(what);
    const end = this.conditions.begin(typeof what === 'string' ? what : `replica ${what.index}`);
    try {
      await work();
    } finally {
      end();
      this.busy.delete(what);
    }
  }
}

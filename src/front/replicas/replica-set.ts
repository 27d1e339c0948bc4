import { setTimeout as delay } from 'node:timers/promises';
import { Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import { Configuration } from '../../config/configuration.js';
import { RemoteReplica } from './remote-replica.js';
import { resolveReplicas } from './replica-addresses.js';
import { probe, type ProbeResult } from './replica-probe.js';

/** Pauses between probes of one replica: a replica that can't be used is wanted back soon. */
const READY_PAUSE_MS = 1_000;
const OTHER_PAUSE_MS = 250;
const PROBE_TIMEOUT_MS = 2_000;

/** Pause between two resolutions of the names of `FRONT_REPLICAS`. */
const RESOLVE_PAUSE_MS = 5_000;

/** Pause while no replica can be used. */
const WAIT_MS = 25;

/** The replicas of a front, which of them can be used, and the choice of one. */
@Injectable()
export class ReplicaSet implements OnModuleDestroy {
  private readonly logger = new Logger('Replicas');
  private readonly replicas = new Map<string, RemoteReplica>();
  private readonly states = new Map<RemoteReplica, ProbeResult>();
  private readonly stopping = new AbortController();

  constructor(private readonly configuration: Configuration) {}

  /** Finds the replicas, and keeps looking until the application closes. */
  async start(): Promise<void> {
    await this.resolve();
    if (!this.isAnyReady) this.logger.warn('no replica is ready yet: requests wait for one');
    void this.keepResolving();
  }

  onModuleDestroy(): void {
    this.stopping.abort(new Error('the front is stopping'));
    for (const replica of this.replicas.values()) replica.close();
  }

  /** Whether any replica is ready. */
  get isAnyReady(): boolean {
    return [...this.states.values()].includes('ready');
  }

  /** How many replicas the last probes found so. */
  countOf(result: ProbeResult): number {
    return [...this.states.values()].filter((state) => state === result).length;
  }

  /**
   * Returns the least busy replica that can be used; waits until there is one.
   *
   * @param avoided not returned if there is another one.
   * @throws the signal's reason.
   */
  async choose(signal: AbortSignal, avoided?: RemoteReplica): Promise<RemoteReplica> {
    for (;;) {
      signal.throwIfAborted();
      this.stopping.signal.throwIfAborted();
      const usable = [...this.replicas.values()].filter(({ isUsable }) => isUsable);
      const others = usable.filter((replica) => replica !== avoided);
      const chosen = leastBusy(others.length > 0 ? others : usable);
      if (chosen !== undefined) return chosen;
      await delay(WAIT_MS);
    }
  }

  private async keepResolving(): Promise<void> {
    while (await this.pause(RESOLVE_PAUSE_MS)) await this.resolve();
  }

  private async resolve(): Promise<void> {
    const { found, errors } = await resolveReplicas(this.configuration.frontReplicas);
    for (const error of errors) this.logger.warn({ err: error }, 'a name of FRONT_REPLICAS was not resolved');
    const added = found.map(({ origin, address }) => new RemoteReplica(origin, address));
    const firstProbes = added.map((replica) => this.add(replica));
    await Promise.all(firstProbes);
    // With an error, what is missing may be there still.
    if (errors.length === 0) this.removeOthers(new Set(added.map(({ name }) => name)));
  }

  /** Resolves after the first probe. */
  private async add(replica: RemoteReplica): Promise<void> {
    if (this.replicas.has(replica.name)) return;
    this.replicas.set(replica.name, replica);
    await this.probe(replica);
    void this.keepProbing(replica);
  }

  private removeOthers(names: ReadonlySet<string>): void {
    for (const [name, replica] of this.replicas) {
      if (names.has(name)) continue;
      this.replicas.delete(name);
      this.states.delete(replica);
      replica.close();
    }
  }

  private async keepProbing(replica: RemoteReplica): Promise<void> {
    const isProbed = () => this.replicas.get(replica.name) === replica;
    const pauseMs = () => (this.states.get(replica) === 'ready' ? READY_PAUSE_MS : OTHER_PAUSE_MS);
    while ((await this.pause(pauseMs())) && isProbed()) await this.probe(replica);
  }

  private async probe(replica: RemoteReplica): Promise<void> {
    const { result, reason } = await probe(replica, PROBE_TIMEOUT_MS);
    if (this.stopping.signal.aborted) return;
    if (result === 'ready') replica.becomeReady();
    else if (result === 'unready') replica.becomeUnready();
    else if (result === 'closed') replica.becomeClosed();
    else replica.becomeSilent();
    const before = this.states.get(replica);
    this.states.set(replica, result);
    if (before === result || (before === undefined && result === 'ready')) return;
    const level = result === 'ready' ? 'log' : 'warn';
    this.logger[level](`replica ${replica.name} ${DESCRIPTIONS[result]} (${reason})`);
  }

  /** Returns false if the front is stopping. */
  private async pause(milliseconds: number): Promise<boolean> {
    const { signal } = this.stopping;
    await delay(milliseconds, undefined, { signal, ref: false }).catch(() => undefined);
    return !signal.aborted;
  }
}

const DESCRIPTIONS: Readonly<Record<ProbeResult, string>> = {
  ready: 'is ready',
  unready: 'is not ready',
  closed: 'can not be used: it does not run, or is stopping, or is no replica',
  silent: 'does not respond: it is frozen, or cut off',
};

/** One of those with the fewest requests, by chance. */
function leastBusy(replicas: readonly RemoteReplica[]): RemoteReplica | undefined {
  const fewest = Math.min(...replicas.map(({ active }) => active));
  const candidates = replicas.filter(({ active }) => active === fewest);
  return candidates[Math.floor(Math.random() * candidates.length)];
}

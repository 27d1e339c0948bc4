import { expect } from '@jest/globals';
import { until } from '../support/until.js';
import { ClientPlan, PlannedClient, type SeenAnswer } from './front-plans.js';
import type { Script } from './front-faults.js';
import { ScriptedRegistry } from './front-registry.js';
import { ScriptedReplica, ScriptReader } from './front-replica.js';
import { type StartedFront, startFrontOf } from './front-under-test.js';

/** What clients do through a front, and what happens behind it. */
export interface FrontPlan {
  /** One after the other within a client, all clients at once. */
  readonly clients: readonly ClientPlan[];
  readonly script: Script;
  readonly checkpointBytes: number;
}

/** What came of a plan. */
export interface Outcome {
  /** By client. */
  readonly seen: readonly (readonly SeenAnswer[])[];
  readonly registry: ScriptedRegistry;
  readonly reader: ScriptReader;
}

/** Enough that some are there while others rest. */
const REPLICAS = 6;

/** A front before scripted replicas. It plays one plan after the other. */
export class FrontBench {
  private constructor(
    private readonly replicas: readonly ScriptedReplica[],
    private readonly front: StartedFront,
  ) {}

  static async start(settings: Readonly<Record<string, string>> = {}): Promise<FrontBench> {
    const [registry, reader] = [new ScriptedRegistry(1), new ScriptReader([])];
    const replicas = await Promise.all(
      Array.from({ length: REPLICAS }, () => ScriptedReplica.start(registry, reader)),
    );
    return new FrontBench(
      replicas,
      await startFrontOf(
        replicas.map(({ url }) => url),
        settings,
      ),
    );
  }

  get url(): string {
    return this.front.url;
  }

  async play({ clients, ...plan }: FrontPlan): Promise<Outcome> {
    const { registry, reader } = this.begin(plan);
    const seen = await playAll(this.url, clients);
    await this.recover();
    return { seen, registry, reader };
  }

  /** From now on, the replicas have a new registry, and faults. */
  begin({ script, checkpointBytes }: Omit<FrontPlan, 'clients'>): Omit<Outcome, 'seen'> {
    const registry = new ScriptedRegistry(checkpointBytes);
    const reader = new ScriptReader(script);
    for (const replica of this.replicas) replica.use(registry, reader);
    return { registry, reader };
  }

  /** Ends all faults. Replicas that were frozen wake up, and do what they still can. */
  async recover(): Promise<void> {
    for (const replica of this.replicas) replica.recover();
    await until('the last requests', () => this.replicas.every(({ isIdle }) => isIdle));
  }

  /**
   * Plays a plan twice: with one replica without faults, and through the front with the faults of the script.
   * The clients must not see a difference, and neither may the registry.
   *
   * @param expected of the same clients, if it is known.
   */
  async expectNoDifference(plan: FrontPlan, expected?: Outcome): Promise<Outcome> {
    expected ??= await playDirectly(plan);
    const actual = await this.play(plan);
    expect(actual.seen).toEqual(expected.seen);
    expect(stateOf(actual.registry)).toEqual(stateOf(expected.registry));
    expect(actual.registry.violations).toEqual([]);
    return actual;
  }

  async close(): Promise<void> {
    await this.front.close();
    await Promise.all(this.replicas.map((replica) => replica.close()));
  }
}

async function playDirectly({ clients }: FrontPlan): Promise<Outcome> {
  const registry = new ScriptedRegistry(Infinity);
  const reader = new ScriptReader([]);
  const replica = await ScriptedReplica.start(registry, reader);
  try {
    return { seen: await playAll(replica.url, clients), registry, reader };
  } finally {
    await replica.close();
  }
}

async function playAll(url: string, plans: readonly ClientPlan[]): Promise<SeenAnswer[][]> {
  const clients = plans.map((_, n) => new PlannedClient(url, `client-${n}`));
  await Promise.all(clients.map((client, n) => client.play(plans[n] ?? [])));
  return clients.map(({ seen }) => seen);
}

/** What a registry has. Its blobs are right: it has compared them with their digests. */
function stateOf({ blobs, manifests, tags, sessions, effects }: ScriptedRegistry): unknown {
  const kept = [...sessions.values()].filter(({ state, offset }) => state === 'open' && offset > 0);
  return {
    blobs: [...blobs.keys()].sort(),
    manifests: [...manifests.keys()].sort(),
    tags: [...tags].sort(),
    // A session whose start was answered in vain stays, and is empty.
    sessions: kept.map(({ repository, bytes }) => `${repository} ${bytes.toString('hex')}`).sort(),
    // In order, for each client.
    effects: effects
      .map((effect, n) => [effect, n] as const)
      .sort(byClient)
      .map(([effect]) => effect),
  };
}

function byClient([a, m]: readonly [string, number], [b, n]: readonly [string, number]): number {
  const [clientA = '', clientB = ''] = [a.split(':')[0], b.split(':')[0]];
  return clientA < clientB ? -1 : clientA > clientB ? 1 : m - n;
}

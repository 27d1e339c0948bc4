import type { FaultWatch } from './fault-watch.js';
import type { SupervisedServer } from './supervised-server.js';

const AFTER_READY_MS = 3_000;
const FROZEN_MS = 20_000;

export const FAULTS = ['kill', 'freeze', 'rolling restart', 'postgres restart'] as const;
export type FaultName = (typeof FAULTS)[number];

/** What faults happen to. */
export interface FaultTargets {
  readonly replicas: readonly SupervisedServer[];
  restartPostgres(): Promise<unknown>;
}

/** Injects faults of a kind, until the push is over. The first one hits a replica that receives the layer. */
export const INJECTORS: Record<FaultName, (targets: FaultTargets, watch: FaultWatch) => Promise<void>> = {
  /** kill -9 of the replicas in turn, each time three seconds after the one before is ready again. */
  kill: (targets, watch) => inTurn(targets, watch, (replica) => replica.restart('SIGKILL'), AFTER_READY_MS),

  /** An operator's update: SIGTERM, a start, and then the next one. */
  'rolling restart': (targets, watch) => inTurn(targets, watch, (replica) => replica.restart('SIGTERM'), 0),

  freeze: async (_targets, watch) => {
    for (;;) {
      const replica = await watch.busyReplica();
      if (replica === undefined) return;
      watch.injects(replica);
      replica.signal('SIGSTOP');
      await watch.pause(FROZEN_MS);
      replica.signal('SIGCONT');
      await watch.pause(AFTER_READY_MS);
    }
  },

  'postgres restart': async (targets, watch) => {
    for (;;) {
      const replica = await watch.busyReplica();
      if (replica === undefined) return;
      watch.injects(replica);
      await targets.restartPostgres();
      await watch.pause(AFTER_READY_MS);
    }
  },
};

async function inTurn(
  { replicas }: FaultTargets,
  watch: FaultWatch,
  end: (replica: SupervisedServer) => Promise<void>,
  pauseMs: number,
): Promise<void> {
  let replica = await watch.busyReplica();
  while (replica !== undefined && !watch.isOver) {
    watch.injects(replica);
    await end(replica);
    await watch.pause(pauseMs);
    replica = replicas[(replicas.indexOf(replica) + 1) % replicas.length];
  }
}

import { FAULTS, type FaultName } from './faults.js';
import { CLIENT_NAMES, type ClientName } from './push-clients.js';

const MIB = 1024 * 1024;

export const STORAGES = ['filesystem', 's3'] as const;
export type StorageName = (typeof STORAGES)[number];

/** One push: who pushes, where to, and what breaks meanwhile. */
export interface Row {
  readonly storage: StorageName;
  readonly client: ClientName;
  readonly fault: FaultName;
}

/** What a run pushes. */
export interface FrontSettings {
  readonly layerBytes: number;
  /** The speed of the link between the client and the front: a push lasts long enough to be hit. */
  readonly bytesPerSecond: number;
  readonly rows: readonly Row[];
  /** Clients of rows with distribution behind nginx and the same kills. */
  readonly peerClients: readonly ClientName[];
}

/** Every client, fault and storage once. */
const FEW_ROWS: readonly Row[] = [
  { storage: 'filesystem', client: 'docker', fault: 'kill' },
  { storage: 'filesystem', client: 'containerd', fault: 'freeze' },
  { storage: 'filesystem', client: 'podman', fault: 'rolling restart' },
  { storage: 'filesystem', client: 'buildah', fault: 'postgres restart' },
  { storage: 's3', client: 'skopeo', fault: 'kill' },
  { storage: 's3', client: 'crane', fault: 'freeze' },
  { storage: 's3', client: 'oras', fault: 'rolling restart' },
];

/**
 * Reads `FRONT_LAYER_BYTES`, `FRONT_BYTES_PER_SECOND`, `FRONT_PEER`, and the lists `FRONT_CLIENTS`,
 * `FRONT_FAULTS` and `FRONT_STORAGE`. With one of the lists the rows are all combinations, instead of a few.
 */
export function frontSettings(environment: NodeJS.ProcessEnv): FrontSettings {
  const list = <T extends string>(name: string, all: readonly T[]) => listOf(name, environment[name], all);
  const clients = list('FRONT_CLIENTS', CLIENT_NAMES);
  const faults = list('FRONT_FAULTS', FAULTS);
  const storages = list('FRONT_STORAGE', STORAGES);
  const isWide = ['FRONT_CLIENTS', 'FRONT_FAULTS', 'FRONT_STORAGE'].some((name) => environment[name]);
  const all = storages.flatMap((storage) =>
    faults.flatMap((fault) => clients.map((client) => ({ storage, client, fault }))),
  );
  return {
    layerBytes: Number(environment['FRONT_LAYER_BYTES'] ?? 160 * MIB),
    bytesPerSecond: Number(environment['FRONT_BYTES_PER_SECOND'] ?? 40 * MIB),
    rows: isWide ? all : FEW_ROWS,
    peerClients: environment['FRONT_PEER'] === 'true' ? clients : [],
  };
}

function listOf<T extends string>(name: string, wanted: string | undefined, all: readonly T[]): readonly T[] {
  if (!wanted) return all;
  return wanted.split(',').map((word) => {
    const found = all.find((value) => value === word);
    if (found === undefined) throw new Error(`${name}: expected some of ${all.join(', ')}, not ${word}`);
    return found;
  });
}

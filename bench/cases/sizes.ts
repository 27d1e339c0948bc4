const KIB = 1024;
export const MIB = 1024 * KIB;

/**
 * The amount of work of the cases. Their names contain it, so that a quick run is not taken for a full one.
 */
export interface Sizes {
  readonly smallBlobBytes: number;
  readonly mediumBlobBytes: number;
  readonly largeBlobBytes: number;
  readonly rangeBytes: number;
  readonly largePushesPerRound: number;
  readonly layers: number;
  readonly layerBytes: number;
  /** Numbers of clients that push images at once, in ascending order. */
  readonly clients: readonly number[];
  /** Number of tags of a repository, and of repositories. */
  readonly listed: number;
  readonly referrers: number;
  /** Size of the layers that are pushed at once while memory is measured. */
  readonly memoryBytes: readonly number[];
  readonly memoryConnections: number;
}

export const FULL: Sizes = {
  smallBlobBytes: 4 * KIB,
  mediumBlobBytes: MIB,
  largeBlobBytes: 256 * MIB,
  rangeBytes: 64 * KIB,
  largePushesPerRound: 2,
  layers: 10,
  layerBytes: 5 * MIB,
  clients: [4, 8],
  listed: 100_000,
  referrers: 1000,
  memoryBytes: [16 * MIB, 64 * MIB, 256 * MIB],
  memoryConnections: 32,
};

/** Only shows that everything works. */
export const QUICK: Sizes = {
  ...FULL,
  largeBlobBytes: 16 * MIB,
  largePushesPerRound: 1,
  layers: 3,
  layerBytes: MIB,
  clients: [2],
  listed: 1000,
  referrers: 100,
  memoryBytes: [4 * MIB],
  memoryConnections: 8,
};

/** `4 KiB`, `256 MiB`. */
export function sizeText(bytes: number): string {
  return bytes >= MIB ? `${bytes / MIB} MiB` : `${bytes / KIB} KiB`;
}

export function connectionsText(count: number): string {
  return count === 1 ? '1 connection' : `${count} connections`;
}

/** What collections unlink and free, up to a moment. */
export interface ForecastTotal {
  /** Links of blobs to repositories, and the bytes of these blobs: as often as they are linked. */
  readonly links: number;
  readonly bytesUnlinked: number;
  /** Blobs that lose their last link. */
  readonly blobs: number;
  /** Objects of the storage, and their bytes. */
  readonly objects: number;
  readonly bytesFreed: number;
}

/** Things that wait for a stage, and when the first and the last of them go. Times are of ISO 8601. */
export interface ForecastStage {
  readonly count: number;
  readonly bytes: number;
  readonly nextAt: string | null;
  readonly lastAt: string | null;
}

/**
 * Live manifests that nothing holds, whether the collector deletes them or not. Null where the registry is
 * too large to measure it in time.
 */
export interface UntaggedForecast {
  readonly enabled: boolean;
  /** Manifests that nothing holds now, without those that follow them. */
  readonly count: number | null;
  /**
   * Bytes of the objects that the storage would lose after all windows if these manifests, and what follows
   * them, were deleted. In no total: those have what is deleted already.
   */
  readonly bytes: number | null;
}

export interface RepositoryTotal {
  readonly links: number;
  readonly bytesUnlinked: number;
  readonly bytesFreed: number;
}

export interface RepositoryForecast {
  readonly repository: string;
  readonly isDeleted: boolean;
  readonly now: RepositoryTotal;
  readonly afterWindows: RepositoryTotal;
  /** Bytes to be unlinked, by reason. */
  readonly reasons: Readonly<Record<'unneeded' | 'deleted' | 'repository', number>>;
  readonly nextAt: string;
  readonly lastAt: string;
}

/** What collections will delete if nothing is pushed, restored or deleted meanwhile. */
export interface Forecast {
  readonly measuredAt: string;
  /** False: the collector has yet to find what follows some deletions, so more will go. */
  readonly isComplete: boolean;
  readonly stages: {
    readonly untagged: UntaggedForecast;
    readonly followers: { readonly count: number };
    readonly deletions: ForecastStage;
    readonly links: ForecastStage;
    readonly blobs: ForecastStage;
    readonly objects: ForecastStage & { readonly failing: number; readonly lastError: string | null };
  };
  readonly now: ForecastTotal;
  readonly afterWindows: ForecastTotal;
  readonly repositories: readonly RepositoryForecast[];
}

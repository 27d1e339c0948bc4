import type { BerthProcess } from './berth-process.js';
import { DeployedVersions } from './deployed-versions.js';
import { MovingUpload } from './moving-upload.js';
import type { ProcessBench } from './process-bench.js';
import { closeFetchConnections } from './fetch-connections.js';
import { eventually, isAlive, workersOf } from './process-tree.js';
import { WORKER_SETTINGS, WORKERS } from './worker-pool.js';

const END = /^restarted|^the restart failed/;

/** A Berth with workers, whose code is replaced while it runs. */
export class RestartBench {
  private constructor(
    readonly berth: BerthProcess,
    readonly url: string,
    readonly dataDir: string,
    readonly versions: DeployedVersions,
  ) {}

  static async start(bench: ProcessBench, environment: Record<string, string> = {}): Promise<RestartBench> {
    const versions = await DeployedVersions.in(bench.scratch);
    const dataDir = bench.newDataDir();
    const { SHUTDOWN_GRACE_SECONDS: _, ...settings } = WORKER_SETTINGS;
    const { main } = versions;
    const berth = bench.start({ ...settings, ...environment, DATA_DIR: dataDir }, { main });
    return new RestartBench(berth, await berth.url(), dataDir, versions);
  }

  /** Sends SIGHUP and waits for the line that says what became of it. */
  async restart(): Promise<void> {
    const count = () => this.berth.log(END).length;
    const before = count();
    this.berth.signal('SIGHUP');
    await eventually('the end of the restart', () => count() > before || undefined);
  }

  /** The messages of the restarts that failed. */
  get failures(): string[] {
    return this.berth.log(/^the restart failed/).map(({ msg }) => msg);
  }

  /** The workers that run, without those in `old`. */
  newWorkers(old: readonly number[]): Promise<number[]> {
    return eventually('new workers', () => {
      const workers = workersOf(this.berth.pid).filter((pid) => isAlive(pid) && !old.includes(pid));
      return workers.length === WORKERS ? workers : undefined;
    });
  }

  /** Waits until these workers have ended. They keep idle connections open, so it closes those of `fetch`. */
  async gone(pids: readonly number[]): Promise<void> {
    await closeFetchConnections();
    await eventually('the end of old workers', () => !pids.some(isAlive) || undefined);
  }

  beginUpload(whole: Uint8Array): Promise<MovingUpload> {
    return MovingUpload.begin(this.url, this.dataDir, whole);
  }
}

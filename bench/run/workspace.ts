import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The directories and servers of a run. They are removed at its end, also after a failure. */
export class Workspace {
  private readonly disposers = new Set<() => Promise<void> | void>();
  private directories = 0;
  private disposal: Promise<void> | undefined;

  private constructor(readonly root: string) {}

  /** @param parent directory for the data of the servers, on the disk to be measured. */
  static async open(parent = tmpdir()): Promise<Workspace> {
    const root = await mkdtemp(join(parent, 'berth-bench-'));
    // If root runs Berth, the embedded PostgreSQL has another user.
    await chmod(root, 0o755);
    return new Workspace(root);
  }

  /** Cleans up and exits at a signal that ends the process. */
  disposeOnSignals(): void {
    // `on`: npm, terminals and timeout(1) send a signal twice, and the second one must not end the clean-up.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => void this.dispose().finally(() => process.exit(130)));
    }
  }

  async newDirectory(name: string): Promise<string> {
    this.directories += 1;
    const directory = join(this.root, `${name}-${this.directories}`);
    await mkdir(directory);
    return directory;
  }

  /** Returns a function that ends it. Call it once; `dispose` calls it otherwise. */
  add(dispose: () => Promise<void> | void): () => Promise<void> {
    if (this.disposal) throw new Error('the run was stopped');
    this.disposers.add(dispose);
    return async () => {
      if (this.disposers.delete(dispose)) await dispose();
    };
  }

  /** Last in, first out; the directories last. */
  dispose(): Promise<void> {
    this.disposal ??= this.disposeAll();
    return this.disposal;
  }

  private async disposeAll(): Promise<void> {
    for (const dispose of [...this.disposers].reverse())
      await Promise.resolve(dispose()).catch(() => undefined);
    // A PostgreSQL that is stopping may still write.
    await rm(this.root, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Everything that a run makes and has to take away again, however it ends. */
export class Ground {
  private readonly disposers = new Set<() => Promise<void> | void>();
  private directories = 0;
  private disposal: Promise<void> | undefined;

  private constructor(readonly root: string) {}

  /** @param parent where the data of the servers is kept meanwhile: on the disk that is to be measured. */
  static async open(parent = tmpdir()): Promise<Ground> {
    const root = await mkdtemp(join(parent, 'berth-bench-'));
    // The embedded PostgreSQL of a Berth that root runs is another user's.
    await chmod(root, 0o755);
    return new Ground(root);
  }

  async newDirectory(name: string): Promise<string> {
    this.directories += 1;
    const directory = join(this.root, `${name}-${this.directories}`);
    await mkdir(directory);
    return directory;
  }

  /** Answers what ends it now: to be called once, at the latest by `dispose`. */
  add(dispose: () => Promise<void> | void): () => Promise<void> {
    if (this.disposal) throw new Error('the run has been stopped');
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
    // A PostgreSQL that was told to quit may still write as it goes.
    await rm(this.root, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

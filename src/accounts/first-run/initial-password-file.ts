import { randomUUID } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory } from '../../common/make-directory.js';
import { syncDirectory } from '../../common/sync-directory.js';

/** `DATA_DIR/initial-admin-password`, which only the user that runs Berth can read. */
export class InitialPasswordFile {
  readonly path: string;

  /** @param dataDir created if it does not exist. */
  constructor(private readonly dataDir: string) {
    this.path = join(dataDir, 'initial-admin-password');
  }

  /** Writes one line and makes it durable, or changes nothing. Idempotent. */
  async write(password: string): Promise<void> {
    await makeDirectory(this.dataDir, 0o700);
    const temporary = `${this.path}.${randomUUID()}`;
    try {
      const file = await open(temporary, 'wx', 0o600);
      try {
        await file.writeFile(`${password}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, this.path);
      await syncDirectory(this.dataDir);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  /** Undefined if there is no such file, or it can't be read. */
  async read(): Promise<string | undefined> {
    const text = await readFile(this.path, 'utf8').catch(() => undefined);
    return text?.trimEnd();
  }

  /** Idempotent. */
  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }
}

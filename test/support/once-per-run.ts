import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { tryFileLock } from '../../src/common/file-lock.js';

/** The directory of this test run. `postgres-setup.ts` makes and removes it. */
export function runDirectory(): string {
  const directory = process.env['BERTH_TEST_RUN_DIR'];
  if (!directory) throw new Error('this needs the globalSetup of jest.config.mjs');
  return directory;
}

/** Does `work` once per test run: the first worker that asks does it, the others wait for it. */
export async function oncePerRun(name: string, work: (directory: string) => Promise<void>): Promise<void> {
  const directory = runDirectory();
  const done = join(directory, `${name}.done`);
  while (!existsSync(done)) {
    const lock = await tryFileLock(join(directory, `${name}.once`));
    if (!lock) {
      await sleep(50);
      continue;
    }
    try {
      if (existsSync(done)) return;
      await work(directory);
      writeFileSync(done, '');
    } finally {
      lock.release();
    }
  }
}

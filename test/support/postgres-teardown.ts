import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** Jest's globalTeardown: starts the clean-up of `postgres-setup.ts` and waits for it. */
export default async function teardown(): Promise<void> {
  const { berthTestPostgresReaper: reaper } = globalThis as { berthTestPostgresReaper?: ChildProcess };
  if (!reaper || reaper.exitCode !== null) return;
  reaper.ref();
  const gone = once(reaper, 'exit');
  reaper.stdin?.end();
  await gone;
}

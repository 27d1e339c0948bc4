import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { LimitContext } from './limit.js';

/** Runs `work` against a small server program, which sends its address and ends with its parent. */
export async function withChildServer<T>(
  { workspace }: LimitContext,
  program: string,
  work: (port: number) => Promise<T>,
): Promise<T> {
  const child = fork(program, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const end = workspace.add(() => void child.kill('SIGKILL'));
  try {
    const [address] = (await once(child, 'message')) as [AddressInfo];
    return await work(address.port);
  } finally {
    await end();
  }
}

import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { LimitContext } from './limit.js';

export interface ChildProgram {
  readonly program: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs `work` against a small server program, which sends its address and ends with its parent. */
export function withChildServer<T>(
  context: LimitContext,
  child: ChildProgram,
  work: (port: number) => Promise<T>,
): Promise<T> {
  return withChild(context, child, (address) => work((address as AddressInfo).port));
}

/** Runs `work` with the first message of a small program, which ends after it. */
export async function withChild<T>(
  { workspace, env }: LimitContext,
  { program, args = [], env: own = {} }: ChildProgram,
  work: (message: unknown) => Promise<T> | T,
): Promise<T> {
  const child = fork(program, [...args], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, ...env, ...own },
  });
  const end = workspace.add(() => void child.kill('SIGKILL'));
  const ended = once(child, 'exit').then(() => Promise.reject(new Error(`${program} ended`)));
  try {
    const [message] = (await Promise.race([once(child, 'message'), ended])) as [unknown];
    return await work(message);
  } finally {
    ended.catch(() => undefined);
    await end();
  }
}

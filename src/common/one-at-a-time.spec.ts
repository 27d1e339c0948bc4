import { expect, it } from '@jest/globals';
import { oneAtATime } from './one-at-a-time.js';

it('shares a call that is running, and starts a new one after it', async () => {
  const settle: { resolve: (value: string) => void; reject: (error: Error) => void }[] = [];
  const call = oneAtATime(() => new Promise<string>((resolve, reject) => settle.push({ resolve, reject })));
  const shared = [call(), call()];
  expect(settle).toHaveLength(1);
  settle[0]?.resolve('first');
  expect(await Promise.all(shared)).toEqual(['first', 'first']);
  const failing = call();
  settle[1]?.reject(new Error('failed'));
  await expect(failing).rejects.toThrow('failed');
  void call();
  expect(settle).toHaveLength(3);
});

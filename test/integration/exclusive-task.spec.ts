import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ExclusiveTask } from '../../src/maintenance/exclusive-task.js';
import { createTestDataSource, type TestDataSource } from '../support/test-data-source.js';

describe('ExclusiveTask', () => {
  let test: TestDataSource;
  let tasks: ExclusiveTask;

  beforeAll(async () => {
    test = await createTestDataSource();
    tasks = new ExclusiveTask(test.dataSource);
  });
  afterAll(() => test.dispose());

  it('runs one work of a name at a time, and works of different names concurrently', async () => {
    const done: string[] = [];
    let finish: () => void = () => undefined;
    const running = tasks.run('a', () => new Promise<void>((resolve) => (finish = resolve)));
    await tasks.run('b', () => Promise.resolve(void done.push('b')));
    await tasks.run('a', () => Promise.resolve(void done.push('a, too')));
    finish();
    await running;
    await tasks.run('a', () => Promise.resolve(void done.push('a, later')));
    expect(done).toEqual(['b', 'a, later']);
  });

  it('releases the lock when the work fails', async () => {
    await expect(tasks.run('a', () => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
    let done = false;
    await tasks.run('a', () => Promise.resolve(void (done = true)));
    expect(done).toBe(true);
  });
});

import { PassThrough, pipeline } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { StorageError } from '../../storage.errors.js';
import { GuardedBody } from './guarded-body.js';

const IDLE_MS = 1000;

describe('GuardedBody', () => {
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  function guarded(bytes: number): { source: PassThrough; body: GuardedBody } {
    const source = new PassThrough();
    const body = new GuardedBody(bytes, IDLE_MS, (cause) => new StorageError('broken', { cause }));
    pipeline(source, body, () => undefined);
    return { source, body };
  }

  it('passes the bytes on', async () => {
    const { source, body } = guarded(6);
    source.write('abc');
    source.end('def');
    expect((await buffer(body)).toString()).toBe('abcdef');
    expect(jest.getTimerCount()).toBe(0);
  });

  it.each(['', 'abc', 'abcdefg'])('fails when they are others than so many: %j', async (text) => {
    const { source, body } = guarded(6);
    source.end(text);
    await expect(buffer(body)).rejects.toBeInstanceOf(StorageError);
  });

  it('fails with an error of its own, and destroys the source', async () => {
    const { source, body } = guarded(6);
    const cause = new Error('of the SDK');
    const reading = expect(buffer(body)).rejects.toMatchObject({ name: 'StorageError', cause });
    source.write('abc');
    source.destroy(cause);
    await reading;
    expect(jest.getTimerCount()).toBe(0);
  });

  it('lets the source go when it is destroyed, unread', async () => {
    const { source, body } = guarded(6);
    const closed = new Promise((resolve) => source.once('close', resolve));
    body.destroy();
    await closed;
    expect(source.destroyed).toBe(true);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('fails when bytes are waited for and stop coming', async () => {
    const { source, body } = guarded(6);
    const reading = expect(buffer(body)).rejects.toMatchObject({ cause: { name: 'TimeLimitError' } });
    source.write('abc');
    await nextRound();
    await jest.advanceTimersByTimeAsync(2 * IDLE_MS);
    await reading;
    expect(source.destroyed).toBe(true);
  });

  it('waits for whoever reads slowly', async () => {
    const { source, body } = guarded(6);
    source.write('abc');
    await nextRound();
    await jest.advanceTimersByTimeAsync(10 * IDLE_MS);
    expect(body.destroyed).toBe(false);
    source.end('def');
    expect((await buffer(body)).toString()).toBe('abcdef');
  });

  it('starts anew with each byte that comes', async () => {
    const { source, body } = guarded(6);
    const reading = buffer(body);
    for (const letter of 'abcdef') {
      source.write(letter);
      await nextRound();
      await jest.advanceTimersByTimeAsync(0.9 * IDLE_MS);
    }
    source.end();
    expect((await reading).toString()).toBe('abcdef');
  });
});

function nextRound(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

import { describe, expect, it } from '@jest/globals';
import { outlastOutage } from './outlast-outage.js';

const UNAVAILABLE = Object.assign(new Error('Connection terminated unexpectedly'), { code: 'ECONNRESET' });

describe('outlastOutage', () => {
  it('retries while the database is unavailable, and returns the result of the last attempt', async () => {
    let attempts = 0;
    const result = await outlastOutage(10_000, () => {
      attempts += 1;
      return attempts < 3 ? Promise.reject(UNAVAILABLE) : Promise.resolve(attempts);
    });
    expect(result).toBe(3);
  });

  it('throws any other error at once', async () => {
    let attempts = 0;
    const failing = outlastOutage(10_000, () => {
      attempts += 1;
      return Promise.reject(new Error('syntax error'));
    });
    await expect(failing).rejects.toThrow('syntax error');
    expect(attempts).toBe(1);
  });

  it('throws the error after the timeout', async () => {
    await expect(outlastOutage(0, () => Promise.reject(UNAVAILABLE))).rejects.toBe(UNAVAILABLE);
  });
});

import { describe, expect, it } from '@jest/globals';
import { outlastOutage } from './outlast-outage.js';

const AWAY = Object.assign(new Error('Connection terminated unexpectedly'), { code: 'ECONNRESET' });

describe('outlastOutage', () => {
  it('tries again while the database is away, and answers what the last attempt did', async () => {
    let attempts = 0;
    const answer = await outlastOutage(10_000, () => {
      attempts += 1;
      return attempts < 3 ? Promise.reject(AWAY) : Promise.resolve(attempts);
    });
    expect(answer).toBe(3);
  });

  it('passes any other failure on at once', async () => {
    let attempts = 0;
    const failing = outlastOutage(10_000, () => {
      attempts += 1;
      return Promise.reject(new Error('syntax error'));
    });
    await expect(failing).rejects.toThrow('syntax error');
    expect(attempts).toBe(1);
  });

  it('gives up when its patience is over', async () => {
    await expect(outlastOutage(0, () => Promise.reject(AWAY))).rejects.toBe(AWAY);
  });
});

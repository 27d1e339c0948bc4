import { describe, expect, it } from '@jest/globals';
import { QueryFailedError } from 'typeorm';
import { describeError } from './logger.js';

describe('errors in the log', () => {
  it('carry nothing of the requests and parameters that hang on them', () => {
    const cause = Object.assign(new Error('refused'), {
      code: 'E1',
      config: { headers: { Authorization: 'secret' } },
    });
    const error = new QueryFailedError('SELECT $1', ['secret'], cause);
    const described = describeError(Object.assign(error, { cause }));
    expect(JSON.stringify(described)).not.toContain('secret');
    expect(described).toMatchObject({ type: 'QueryFailedError', message: 'refused', cause: { code: 'E1' } });
  });

  it('follow causes for a while, not for ever', () => {
    const error = new Error('round and round');
    error.cause = error;
    expect(JSON.stringify(describeError(error)).match(/round and round/g)?.length).toBeGreaterThan(1);
  });

  it('may be anything', () => {
    expect(describeError('just text')).toBe('just text');
    expect(describeError(undefined)).toBe('undefined');
  });
});

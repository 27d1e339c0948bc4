import { describe, expect, it } from '@jest/globals';
import { connectionDemand } from './connection-demand.js';

describe('connectionDemand', () => {
  it.each([
    { processes: 1, databasePoolSize: 10, least: 10 + 1 + 3 },
    { processes: 1, databasePoolSize: 200, least: 200 + 1 + 3 },
    { processes: 64, databasePoolSize: 200, least: 64 * 201 + 3 },
  ])('covers pools and listeners of $processes × $databasePoolSize', ({ least, ...configuration }) => {
    expect(connectionDemand(configuration)).toBeGreaterThan(least);
  });
});

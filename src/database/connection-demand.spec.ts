import { describe, expect, it } from '@jest/globals';
import { connectionDemand } from './connection-demand.js';
import { poolSizes } from './connections.js';

describe('connectionDemand', () => {
  it.each([
    { processes: 1, databasePoolSize: 10, least: 10 + 1 + 3 },
    { processes: 1, databasePoolSize: 200, least: 200 + 1 + 3 },
    { processes: 64, databasePoolSize: 200, least: 64 * 201 + 3 },
  ])('covers pools and listeners of $processes × $databasePoolSize', ({ least, ...configuration }) => {
    expect(connectionDemand(configuration)).toBeGreaterThan(least);
  });
});

describe('poolSizes', () => {
  it.each(Array.from({ length: 195 }, (_, n) => n + 6))('gives out all of %d', (databasePoolSize) => {
    const { dataSource, reads, transactions } = poolSizes(databasePoolSize);
    expect(dataSource + reads + transactions).toBe(databasePoolSize);
    expect(Math.min(dataSource, reads, transactions)).toBeGreaterThanOrEqual(2);
  });

  it('leaves the most to reads', () => {
    expect(poolSizes(10)).toEqual({ dataSource: 3, transactions: 3, reads: 4 });
  });
});

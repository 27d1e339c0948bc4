import { describe, expect, it } from '@jest/globals';
import { connectionDemand } from './connection-demand.js';
import { poolSizes } from './connections.js';

describe('connectionDemand', () => {
  it.each([
    { processes: 1, databasePoolSize: 10, least: 10 + 2 + 3 },
    { processes: 1, databasePoolSize: 200, least: 200 + 2 + 3 },
    { processes: 64, databasePoolSize: 200, least: 64 * 202 + 3 },
  ])(
    'covers pools, listeners and health checks of $processes × $databasePoolSize',
    ({ least, ...configuration }) => {
      expect(connectionDemand(configuration)).toBeGreaterThan(least);
    },
  );
});

describe('poolSizes', () => {
  it.each(Array.from({ length: 195 }, (_, n) => n + 6))('splits %d connections', (databasePoolSize) => {
    const { dataSource, reads } = poolSizes(databasePoolSize);
    expect(dataSource + reads).toBe(databasePoolSize);
    expect(reads).toBeGreaterThanOrEqual(2);
    expect(dataSource).toBeGreaterThanOrEqual(4);
  });

  it('gives most connections to writes', () => {
    expect(poolSizes(14)).toEqual({ dataSource: 10, reads: 4 });
  });
});

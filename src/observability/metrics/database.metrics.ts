import { Gauge } from 'prom-client';
import { BoundCounter } from './bound-counter.js';
import { BoundHistogram } from './bound-histogram.js';
import { registry } from './registry.js';

/** The pools of a process; `other`: migrations. */
export type PoolName = 'writes' | 'reads' | 'other';

export const STATEMENT_FAILURES = ['unavailable', 'other'] as const;

const statements = new BoundHistogram({
  name: 'berth_database_statement_duration_seconds',
  help: 'Time of a statement with the wait for a connection, also of one that failed',
  labelNames: ['pool'],
  buckets: [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10],
});

export const statementDurations = {
  writes: statements.series('writes'),
  reads: statements.series('reads'),
  other: statements.series('other'),
};

export const statementFailures = new BoundCounter({
  name: 'berth_database_errors_total',
  help:
    'Statements that failed. unavailable: PostgreSQL could not be reached, was overloaded or ended, or a lock ' +
    'was not free in time',
  labelNames: ['error'],
});

export const outages = new BoundCounter({
  name: 'berth_database_outages_total',
  help:
    'Work that found PostgreSQL unavailable and repeated its statement: until it succeeded (outlasted), or ' +
    'until its time was over (exceeded)',
  labelNames: ['outcome'],
});

export const outageSeconds = new BoundCounter({
  name: 'berth_database_outage_seconds_total',
  help: 'Time for which such work waited, added up over all of it',
}).series();

export const sharedReads = new BoundCounter({
  name: 'berth_shared_reads_total',
  help: 'Reads of manifests, tags and blobs that may share a query with others',
}).series();

export const sharedReadQueries = new BoundCounter({
  name: 'berth_shared_read_queries_total',
  help: 'Queries for these reads. The difference is what sharing saved',
}).series();

/** Set before a scrape. */
export const poolConnections = new Gauge({
  name: 'berth_database_pool_connections',
  help: 'Open connections of a pool: in use (busy), or free (idle)',
  labelNames: ['pool', 'state'],
  registers: [registry],
});

export const poolLimit = new Gauge({
  name: 'berth_database_pool_limit',
  help: 'Maximum number of connections of a pool',
  labelNames: ['pool'],
  registers: [registry],
});

export const poolWaiting = new Gauge({
  name: 'berth_database_pool_waiting',
  help: 'Statements that wait for a connection of a pool',
  labelNames: ['pool'],
  registers: [registry],
});

for (const error of STATEMENT_FAILURES) statementFailures.series(error);
for (const outcome of ['outlasted', 'exceeded']) outages.series(outcome);

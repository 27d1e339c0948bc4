import { Gauge } from 'prom-client';
import { BoundCounter } from './bound-counter.js';
import { registry } from './registry.js';

// Not `job`: Prometheus gives that name to what it scrapes.

export const jobRuns = new BoundCounter({
  name: 'berth_job_runs_total',
  help: 'Runs of background jobs that ended in this process, by how they ended',
  labelNames: ['job_name', 'outcome'],
});

export const jobProgress = new BoundCounter({
  name: 'berth_job_progress_total',
  help:
    'What background jobs have done, as in the admin API: item is what was counted, such as deleted blobs or ' +
    'their bytes. Dry runs are not in it',
  labelNames: ['job_name', 'item'],
});

/** The job `collect` and others, as the database knows them. Set before a scrape. */
export const jobLastSuccess = new Gauge({
  name: 'berth_job_last_success_timestamp_seconds',
  help: 'When the last run of a job succeeded, on any replica, as a Unix time',
  labelNames: ['job_name'],
  aggregator: 'max',
  registers: [registry],
});

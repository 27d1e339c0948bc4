import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AdminClient } from '../support/admin-client.js';
import { RegistryClient } from '../support/registry-client.js';
import { OwnBerth } from '../support/running-berth.js';
import { until } from '../support/until.js';

interface Run {
  id: string;
  job: string;
  state: string;
  requested: boolean;
  requestedBy: string | null;
  dryRun: boolean;
  progress: Record<string, number>;
  endedAt: string | null;
}

interface Job {
  name: string;
  paused: boolean;
  currentRun: Run | null;
  lastEndedAt: string | null;
  lastError: string | null;
}

describe('admin API: jobs', () => {
  let berth: OwnBerth;
  let client: RegistryClient;
  let admin: AdminClient;

  beforeAll(async () => {
    berth = await OwnBerth.start();
    client = new RegistryClient(berth.url);
    admin = new AdminClient(client);
  });
  afterAll(() => berth.dispose());

  const jobNamed = async (name: string) => {
    const { items } = await admin.get<{ items: Job[] }>('/jobs');
    return items.find((job) => job.name === name);
  };
  const ended = async (id: string) => {
    let run = await admin.get<Run>(`/job-runs/${id}`);
    await until('the end of the run', async () => {
      run = await admin.get<Run>(`/job-runs/${id}`);
      return run.endedAt !== null;
    });
    return run;
  };
  const post = (path: string, status: number, body?: unknown) =>
    admin.problem(path, status, {
      method: 'POST',
      ...(body !== undefined && {
        body: JSON.stringify(body),
        headers: { 'Content-Type': 'application/json' },
      }),
    });
  /** A run that another process has claimed, and does not end. */
  const occupy = async () => {
    const [run] = await berth.query<{ id: string }>(
      `INSERT INTO job_runs (job, state, is_requested, is_dry_run) VALUES ('reap', 'running', false, false)
       RETURNING id`,
    );
    await berth.query(
      `UPDATE jobs SET run_id = $1, holder = NULL, paused = false, lease_expires_at = NULL
        WHERE name = 'reap'`,
      [run?.id],
    );
    return String(run?.id);
  };

  it('lists the jobs that the documentation describes', async () => {
    const docs = readFileSync(join(import.meta.dirname, '../../docs/operations.md'), 'utf8');
    const [, section = ''] = /\n## Jobs\n([^]*?)\n## /.exec(docs) ?? [];
    const documented = [...section.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, name]) => name);
    const { items } = await admin.get<{ items: Job[] }>('/jobs');
    expect(items.map(({ name }) => name)).toEqual(documented);
  });

  it('runs a job on request, and shows what it did', async () => {
    const location = await client.startUpload('a/b');
    await client.patch(location, 'never finished');
    await berth.query(`UPDATE uploads SET updated_at = now() - interval '30 days'`);
    // Idle time is counted.
    await berth.query(
      `INSERT INTO upload_clock (seconds, seen_at) VALUES (-2592000, now() - interval '30 days'), (0, now())`,
    );
    const run = await admin.call<Run>('POST', '/jobs/reap/runs', 202);
    expect(run).toMatchObject({ job: 'reap', requested: true, dryRun: false });
    expect(await ended(run.id)).toMatchObject({
      state: 'succeeded',
      progress: { expiredUploads: 1, reclaimedUploads: 1 },
    });
    expect((await client.fetch(location)).status).toBe(404);
    expect(await jobNamed('reap')).toMatchObject({
      paused: false,
      currentRun: null,
      lastEndedAt: expect.any(String),
      lastError: null,
    });
    const other = await ended((await admin.call<Run>('POST', '/jobs/reap/runs', 202, {})).id);
    const pages = await admin.pages<Run>('/jobs/reap/runs', 1);
    expect(pages.flat().map(({ id }) => id)).toEqual([other.id, run.id]);
  });

  it('pauses and resumes a job', async () => {
    const paused = await admin.call<Job>('PUT', '/jobs/reap/paused', 200, { paused: true });
    expect(paused).toMatchObject({ name: 'reap', paused: true, currentRun: null });
    expect((await post('/jobs/reap/runs', 409)).detail).toMatch(/^the job reap is paused: resume it first/);
    const resumed = await admin.call<Job>('PUT', '/jobs/reap/paused', 200, { paused: false });
    expect(resumed).toMatchObject({ paused: false });
  });

  it('refuses a run while another one has not ended, and stops that one', async () => {
    const id = await occupy();
    expect((await post('/jobs/reap/runs', 409)).detail).toBe(
      `the run ${id} of the job reap has not ended: stop it, or wait for its end`,
    );
    expect((await jobNamed('reap'))?.currentRun).toMatchObject({ id, state: 'running', requested: false });
    expect(await admin.call<Run>('POST', `/job-runs/${id}/stop`, 202)).toMatchObject({ state: 'stopped' });
    expect((await post(`/job-runs/${id}/stop`, 409)).detail).toBe(`the run ${id} has ended`);
  });

  it.each([
    ['POST', '/jobs/reap/runs', { dryRun: true }, 400, 'dryRun: the job reap has no dry run'],
    ['POST', '/jobs/reap/runs', { dryRun: 'yes' }, 400, 'dryRun: expected true or false'],
    ['POST', '/jobs/reap/runs', { dry: true }, 400, 'unknown parameter "dry"'],
    ['POST', '/jobs/sleep/runs', {}, 404, 'no job has the name sleep'],
    ['GET', '/jobs/sleep/runs', undefined, 404, 'no job has the name sleep'],
    ['PUT', '/jobs/sleep/paused', { paused: true }, 404, 'no job has the name sleep'],
    ['PUT', '/jobs/reap/paused', {}, 400, 'paused: expected true or false'],
    ['GET', '/job-runs/first', undefined, 400, 'id: expected a number'],
    ['GET', '/job-runs/999999', undefined, 404, expect.stringContaining('no run has the id 999999')],
    ['POST', '/job-runs/999999/stop', undefined, 404, expect.stringContaining('no run has the id 999999')],
  ])('%s %s %j: %i', async (method, path, body, status, detail) => {
    const response = await admin.send(method, path, body);
    expect([response.status, ((await response.json()) as { detail: string }).detail]).toEqual([
      status,
      detail,
    ]);
  });
});

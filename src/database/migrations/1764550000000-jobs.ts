import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Jobs and their runs. Functions, because each change is one statement: its locks end with it, even if the
 * process is frozen. All of them lock the row of `jobs` first.
 */
export class Jobs1764550000000 implements MigrationInterface {
  readonly name = 'Jobs1764550000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await queryRunner.query(statement);
  }
}

/** Whether the process of the holder runs: it holds the lock on its name (docs/adr/0011). */
const HOLDER_IS_PRESENT = `EXISTS (
  SELECT FROM pg_locks
   WHERE locktype = 'advisory' AND objsubid = 1 AND granted
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
     AND (classid::bigint << 32) | objid::bigint = hashtextextended(j.holder, 1))`;

const seconds = (parameter: string) => `${parameter} * interval '1 second'`;

const SINCE = 'coalesce(j.ended_at, j.created_at)';
/** A time in the future comes from a clock that was ahead. */
const IS_DUE = `(${SINCE} <= now() - ${seconds('p_interval_seconds')} OR ${SINCE} > now())`;

/** How soon processes look again while a run has not ended, whose process may be killed, or is wanted. */
const LOOK_SECONDS = 5;

/** After a wanted run has failed, how long until the next one. */
const RETRY_SECONDS = 60;

/**
 * Claims the job if a run is queued, or was interrupted, or is wanted or due. The first SELECT takes a lock
 * only if that is so: otherwise the call costs one look at a primary key. Without a claim it returns how long
 * to wait before the next call.
 */
const CLAIM_JOB = `
  CREATE FUNCTION claim_job(p_name text, p_interval_seconds float8, p_holder text, p_lease_seconds float8)
  RETURNS TABLE (wait_seconds float8, fence bigint, run_id bigint, is_dry_run boolean, stop_requested boolean,
                 cursor jsonb, progress jsonb)
  LANGUAGE plpgsql AS $$
  DECLARE
    v_job jobs;
    v_run job_runs;
  BEGIN
    SELECT * INTO v_job FROM jobs AS j
     WHERE j.name = p_name
       AND (j.run_id IS NOT NULL
            OR NOT j.paused AND (j.wanted_at <= now() OR p_interval_seconds > 0 AND ${IS_DUE}))
       AND (j.holder IS NULL OR j.holder = p_holder OR j.lease_expires_at <= now()
            OR NOT ${HOLDER_IS_PRESENT})
       FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
      RETURN QUERY
        SELECT CASE WHEN j.run_id IS NOT NULL OR j.wanted_at IS NOT NULL AND NOT j.paused
                      THEN least(nullif(p_interval_seconds, 0), ${LOOK_SECONDS})
                    WHEN p_interval_seconds <= 0 THEN p_lease_seconds
                    WHEN j.paused THEN p_interval_seconds
                    ELSE greatest(p_interval_seconds - extract(epoch FROM now() - ${SINCE})::float8, 0)
               END, NULL::bigint, NULL::bigint, NULL::boolean, NULL::boolean, NULL::jsonb, NULL::jsonb
          FROM jobs AS j WHERE j.name = p_name;
      IF NOT FOUND THEN
        INSERT INTO jobs (name) VALUES (p_name) ON CONFLICT DO NOTHING;
        wait_seconds := CASE WHEN p_interval_seconds > 0 THEN p_interval_seconds ELSE p_lease_seconds END;
        RETURN NEXT;
      END IF;
      RETURN;
    END IF;
    IF v_job.run_id IS NULL THEN
      INSERT INTO job_runs (job, state, is_requested, is_wanted, requested_by, is_dry_run)
      VALUES (p_name, 'running', v_job.wanted_at IS NOT NULL, v_job.wanted_at IS NOT NULL, v_job.wanted_by,
              false)
      RETURNING id INTO v_job.run_id;
      v_job.wanted_at := NULL;
      v_job.wanted_by := NULL;
    END IF;
    UPDATE job_runs AS r SET state = 'running', replica = p_holder, started_at = coalesce(r.started_at, now())
     WHERE r.id = v_job.run_id RETURNING r.* INTO v_run;
    UPDATE jobs AS j SET fence = j.fence + 1, holder = p_holder, run_id = v_job.run_id,
                         lease_expires_at = now() + ${seconds('p_lease_seconds')},
                         wanted_at = v_job.wanted_at, wanted_by = v_job.wanted_by
     WHERE j.name = p_name;
    RETURN QUERY SELECT 0::float8, v_job.fence + 1, v_run.id, v_run.is_dry_run,
                        v_run.stop_requested_at IS NOT NULL, v_job.cursor, v_run.progress;
  END $$`;

/**
 * Ends a run of the claim with this fence, and deletes old runs. Returns false if the claim is lost. A wanted
 * run that failed is still wanted.
 */
const FINISH_JOB_RUN = `
  CREATE FUNCTION finish_job_run(p_name text, p_fence bigint, p_state text, p_error text, p_cursor jsonb,
                                 p_progress jsonb, p_history_seconds float8)
  RETURNS boolean LANGUAGE plpgsql AS $$
  DECLARE
    v_job jobs;
  BEGIN
    SELECT * INTO v_job FROM jobs WHERE name = p_name AND fence = p_fence FOR UPDATE;
    IF NOT FOUND THEN
      RETURN false;
    END IF;
    UPDATE jobs SET holder = NULL, lease_expires_at = NULL, run_id = NULL, cursor = p_cursor,
                    ended_at = now(), error = p_error
     WHERE name = p_name;
    -- Of the many runs that found nothing to do, the time of the last one is enough.
    DELETE FROM job_runs
     WHERE id = v_job.run_id AND p_state = 'succeeded' AND NOT is_requested AND p_progress = '{}';
    UPDATE job_runs SET state = p_state, error = p_error, progress = p_progress, ended_at = now()
     WHERE id = v_job.run_id;
    -- Rows are compared, so that it is a range of the index, whatever the statistics say.
    DELETE FROM job_runs
     WHERE id IN (SELECT id FROM (SELECT id, ended_at FROM job_runs
                                   WHERE (job, id) > (p_name, 0) AND job <= p_name
                                   ORDER BY job, id LIMIT 100) AS oldest
                   WHERE ended_at < now() - ${seconds('p_history_seconds')});
    IF v_job.wanted_at IS NOT NULL THEN
      PERFORM pg_notify('berth_jobs', p_name);
    ELSIF p_state = 'failed' THEN
      UPDATE jobs SET wanted_at = now() + ${seconds(String(RETRY_SECONDS))}, wanted_by = r.requested_by
        FROM job_runs AS r WHERE jobs.name = p_name AND r.id = v_job.run_id AND r.is_wanted;
    END IF;
    RETURN true;
  END $$`;

/**
 * Gives the claim back before the run has ended, so that another process continues the run at once. Raises
 * the fence: the batch may not have ended.
 */
const RELEASE_JOB = `
  CREATE FUNCTION release_job(p_name text, p_fence bigint, p_cursor jsonb, p_progress jsonb)
  RETURNS boolean LANGUAGE plpgsql AS $$
  DECLARE
    v_run_id bigint;
  BEGIN
    UPDATE jobs SET holder = NULL, lease_expires_at = NULL, cursor = p_cursor, fence = fence + 1
     WHERE name = p_name AND fence = p_fence RETURNING run_id INTO v_run_id;
    IF NOT FOUND THEN
      RETURN false;
    END IF;
    UPDATE job_runs SET state = 'queued', progress = p_progress WHERE id = v_run_id;
    PERFORM pg_notify('berth_jobs', p_name);
    RETURN true;
  END $$`;

const ORIGIN = 'p_actor text, p_client_address text, p_user_agent text, p_request_id text';

/** Records what an operator asked for in the audit log. */
const recordEvent = (action: string, subject: string, after = 'NULL') => `
      INSERT INTO audit_events (action, subject, after, actor, client_address, user_agent, request_id)
      VALUES (${action}, ${subject}, ${after}, p_actor, p_client_address, p_user_agent, p_request_id);`;

/** Queues a run. Returns its id, or why there is none: another run has not ended, or the job is paused. */
const REQUEST_JOB_RUN = `
  CREATE FUNCTION request_job_run(p_name text, p_is_dry_run boolean, ${ORIGIN})
  RETURNS TABLE (run_id bigint, unfinished_run_id bigint, is_paused boolean) LANGUAGE plpgsql AS $$
  DECLARE
    v_job jobs;
  BEGIN
    INSERT INTO jobs (name) VALUES (p_name) ON CONFLICT DO NOTHING;
    SELECT * INTO v_job FROM jobs WHERE name = p_name FOR UPDATE;
    unfinished_run_id := v_job.run_id;
    is_paused := v_job.paused;
    IF unfinished_run_id IS NULL AND NOT is_paused THEN
      INSERT INTO job_runs (job, state, is_requested, requested_by, is_dry_run)
      VALUES (p_name, 'queued', true, p_actor, p_is_dry_run) RETURNING id INTO run_id;
      UPDATE jobs AS j SET run_id = request_job_run.run_id WHERE j.name = p_name;
      ${recordEvent(`'job.run'`, 'p_name', `jsonb_build_object('run', run_id, 'dryRun', p_is_dry_run)`)}
      PERFORM pg_notify('berth_jobs', p_name);
    END IF;
    RETURN NEXT;
  END $$`;

/**
 * Makes sure that a run starts after the caller's transaction: at once, or after the current run, or when the
 * job is resumed. For functions of the schema: they record in the audit log what was asked of them.
 */
const WANT_JOB_RUN = `
  CREATE FUNCTION want_job_run(p_name text, p_actor text) RETURNS void LANGUAGE plpgsql AS $$
  BEGIN
    INSERT INTO jobs (name, wanted_at, wanted_by) VALUES (p_name, now(), p_actor)
        ON CONFLICT (name) DO UPDATE SET wanted_at = excluded.wanted_at, wanted_by = excluded.wanted_by;
    PERFORM pg_notify('berth_jobs', p_name);
  END $$`;

/**
 * Asks a run to stop. A queued one ends here, others soon. Returns false if it has ended, NULL if there is no
 * such run.
 */
const STOP_JOB_RUN = `
  CREATE FUNCTION stop_job_run(p_id bigint, ${ORIGIN}) RETURNS boolean LANGUAGE plpgsql AS $$
  DECLARE
    v_job jobs;
  BEGIN
    SELECT j.* INTO v_job FROM jobs AS j
     WHERE j.name = (SELECT job FROM job_runs WHERE id = p_id) FOR UPDATE;
    IF NOT FOUND THEN
      RETURN NULL;
    END IF;
    IF v_job.run_id IS DISTINCT FROM p_id THEN
      RETURN false;
    END IF;
    UPDATE job_runs SET stop_requested_at = coalesce(stop_requested_at, now()) WHERE id = p_id;
    ${recordEvent(`'job.stop'`, 'v_job.name', `jsonb_build_object('run', p_id)`)}
    IF v_job.holder IS NULL THEN
      UPDATE job_runs SET state = 'stopped', ended_at = now() WHERE id = p_id;
      UPDATE jobs SET run_id = NULL, ended_at = now() WHERE name = v_job.name;
    END IF;
    -- Its process stops it, or a run that is wanted starts.
    PERFORM pg_notify('berth_jobs', v_job.name);
    RETURN true;
  END $$`;

/**
 * Pauses a job, and asks its run to stop; or lets it run again. If that run was requested, another one starts
 * when the job is resumed. Returns false if the job was so already.
 */
const PAUSE_JOB = `
  CREATE FUNCTION pause_job(p_name text, p_paused boolean, ${ORIGIN}) RETURNS boolean LANGUAGE plpgsql AS $$
  DECLARE
    v_job jobs;
  BEGIN
    INSERT INTO jobs (name) VALUES (p_name) ON CONFLICT DO NOTHING;
    SELECT * INTO v_job FROM jobs WHERE name = p_name FOR UPDATE;
    IF v_job.paused = p_paused THEN
      RETURN false;
    END IF;
    UPDATE jobs SET paused = p_paused WHERE name = p_name;
    ${recordEvent(`CASE WHEN p_paused THEN 'job.pause' ELSE 'job.resume' END`, 'p_name')}
    IF p_paused THEN
      UPDATE jobs SET wanted_at = now(), wanted_by = r.requested_by
        FROM job_runs AS r
       WHERE jobs.name = p_name AND jobs.wanted_at IS NULL
         AND r.id = v_job.run_id AND r.is_requested AND NOT r.is_dry_run AND r.stop_requested_at IS NULL;
      PERFORM stop_job_run(v_job.run_id, p_actor, p_client_address, p_user_agent, p_request_id);
    ELSE
      PERFORM pg_notify('berth_jobs', p_name);
    END IF;
    RETURN true;
  END $$`;

const UP = [
  `CREATE TABLE jobs (
      name text COLLATE "C" NOT NULL,
      fence bigint NOT NULL DEFAULT 0,
      holder text,
      lease_expires_at timestamptz,
      run_id bigint,
      cursor jsonb,
      paused boolean NOT NULL DEFAULT false,
      wanted_at timestamptz,
      wanted_by text,
      created_at timestamptz NOT NULL DEFAULT now(),
      ended_at timestamptz,
      error text,
      CONSTRAINT jobs_pkey PRIMARY KEY (name)
    )`,
  `CREATE TABLE job_runs (
      id bigint GENERATED BY DEFAULT AS IDENTITY,
      job text COLLATE "C" NOT NULL,
      state text NOT NULL,
      is_requested boolean NOT NULL,
      is_wanted boolean NOT NULL DEFAULT false,
      requested_by text,
      is_dry_run boolean NOT NULL,
      replica text,
      progress jsonb NOT NULL DEFAULT '{}',
      error text,
      created_at timestamptz NOT NULL DEFAULT now(),
      started_at timestamptz,
      stop_requested_at timestamptz,
      ended_at timestamptz,
      CONSTRAINT job_runs_state_check
        CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'stopped')),
      CONSTRAINT job_runs_pkey PRIMARY KEY (id)
    )`,
  `CREATE INDEX job_runs_job_id_idx ON job_runs (job, id)`,
  CLAIM_JOB,
  FINISH_JOB_RUN,
  RELEASE_JOB,
  REQUEST_JOB_RUN,
  WANT_JOB_RUN,
  STOP_JOB_RUN,
  PAUSE_JOB,
];

const DOWN = [
  `DROP FUNCTION pause_job, stop_job_run, want_job_run, request_job_run, release_job, finish_job_run,
     claim_job`,
  `DROP TABLE job_runs, jobs`,
];

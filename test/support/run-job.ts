import type { NestExpressApplication } from '@nestjs/platform-express';
import type { Job, JobRun, JsonValue } from '../../src/jobs/job.js';
import { Jobs } from '../../src/jobs/jobs.js';
import { UploadReaper } from '../../src/uploads/cleanup/upload-reaper.js';

interface Application {
  readonly app: Pick<NestExpressApplication, 'get'>;
}

/** A run that only a test knows: it has no row, and pauses after no batch. */
export class TestRun implements JobRun {
  readonly progress: Record<string, number> = {};
  readonly isDryRun: boolean;
  private readonly aborting = new AbortController();

  constructor({ isDryRun = false } = {}) {
    this.isDryRun = isDryRun;
  }

  cursor: JsonValue = null;

  get signal(): AbortSignal {
    return this.aborting.signal;
  }

  stop(): void {
    this.aborting.abort();
  }

  saveCursor(cursor: JsonValue): void {
    this.cursor = cursor;
  }

  count(name: string, by = 1): void {
    if (by !== 0) this.progress[name] = (this.progress[name] ?? 0) + by;
  }

  verifyLease(): Promise<void> {
    return Promise.resolve();
  }
}

/** Runs a job to its end in this process, whatever its schedule. Returns what it counted. */
export async function runJob(job: Job, run = new TestRun()): Promise<Readonly<Record<string, number>>> {
  for await (const _ of job.run(run)) if (run.signal.aborted) break;
  return run.progress;
}

export function reap({ app }: Application, run?: TestRun): Promise<Readonly<Record<string, number>>> {
  return runJob(app.get(UploadReaper), run);
}

/** Keeps the jobs of a process from running by themselves, so that only the test runs them. */
export function stopJobs({ app }: Application): Promise<void> {
  return app.get(Jobs).onModuleDestroy();
}

import type { GeneratorMessage, Job, JobResult } from './jobs.js';
import { runImagePulls, runImagePushes } from './run-images.js';
import { runPushes } from './run-pushes.js';
import { runRequests } from './run-requests.js';

/** The process that generates load: one job at a time, from its parent. It ends with its parent. */
process.on('message', (job: Job) => {
  run(job).then(
    (result) => send({ result }),
    (error: unknown) => send({ error: error instanceof Error ? error.message : String(error) }),
  );
});
process.on('disconnect', () => process.exit());
// Ctrl-C reaches the whole process group. The parent ends the run.
process.on('SIGINT', () => undefined);

function run(job: Job): Promise<JobResult> {
  switch (job.kind) {
    case 'requests':
      return runRequests(job);
    case 'push':
      return runPushes(job);
    case 'push images':
      return runImagePushes(job);
    case 'pull images':
      return runImagePulls(job);
  }
}

function send(message: GeneratorMessage): void {
  process.send?.(message);
}

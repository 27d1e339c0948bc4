import type { GeneratorMessage, Job, JobResult } from './jobs.js';
import { runImagePulls, runImagePushes } from './run-images.js';
import { runPushes } from './run-pushes.js';
import { runRequests } from './run-requests.js';

/** The process that sends load, and nothing else: a job at a time, told by its parent. It ends with its parent. */
process.on('message', (job: Job) => {
  run(job).then(
    (result) => send({ result }),
    (error: unknown) => send({ error: error instanceof Error ? error.message : String(error) }),
  );
});
process.on('disconnect', () => process.exit());
// Ctrl-C goes to the whole group of the terminal: it is the parent that ends the run, in order.
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

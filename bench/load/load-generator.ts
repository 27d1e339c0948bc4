import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { GeneratorMessage, Job, JobResult } from './jobs.js';

/** The generator's process, for the process that runs the benchmark. */
export class LoadGenerator {
  private constructor(private readonly child: ChildProcess) {}

  static start(): LoadGenerator {
    const program = join(import.meta.dirname, 'generator.js');
    // 'advanced' sends latencies as a typed array.
    return new LoadGenerator(
      fork(program, { serialization: 'advanced', stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }),
    );
  }

  /** @throws Error if a response is not what the job expects. */
  async run(job: Job): Promise<JobResult> {
    const ended = new AbortController();
    const result = once(this.child, 'message', { signal: ended.signal });
    const gone = once(this.child, 'exit', { signal: ended.signal });
    this.child.send(job);
    try {
      const message = await Promise.race([
        result,
        gone.then(() => Promise.reject(new Error('the generator ended'))),
      ]);
      return resultOf(message[0] as GeneratorMessage);
    } finally {
      // The promise that lost the race rejects now. Ignore it.
      result.catch(() => undefined);
      gone.catch(() => undefined);
      ended.abort();
    }
  }

  stop(): void {
    this.child.kill('SIGKILL');
  }
}

function resultOf(message: GeneratorMessage): JobResult {
  if ('error' in message) throw new Error(message.error);
  return message.result;
}

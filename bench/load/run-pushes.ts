import { openConnections, type Connection } from './connection.js';
import { ContentMaker, type Content } from './content.js';
import type { JobResult, PushJob } from './jobs.js';
import { Stopwatch } from './stopwatch.js';
import { upload } from './upload.js';

/** Maximum number of pushed blobs in a result. */
const MAX_TOLD = 1000;

/** Pushes unique blobs on all connections. Contents and digests are made before the measurement. */
export async function runPushes(job: PushJob): Promise<JobResult> {
  const maker = new ContentMaker(job.sizeBytes);
  if (job.form === 'stream') maker.prepareChunked();
  const contents = Array.from({ length: job.count }, (_, n) => maker.make(`${job.label}/${n}`));
  const connections = await openConnections(job.port, job.connections);
  try {
    const stopwatch = new Stopwatch();
    const pushed: Content[] = [];
    const waiting = contents.values();
    await Promise.all(connections.map((connection) => push(connection, job, waiting, pushed, stopwatch)));
    return stopwatch.result({
      blobs: pushed.slice(-MAX_TOLD).map(({ digest, sizeBytes }) => ({ digest, sizeBytes })),
    });
  } finally {
    for (const connection of connections) connection.close();
  }
}

/** The connections share one iterator: each takes the next content after its last one. */
async function push(
  connection: Connection,
  job: PushJob,
  waiting: Iterable<Content>,
  pushed: Content[],
  stopwatch: Stopwatch,
): Promise<void> {
  for (const content of waiting) {
    const since = performance.now();
    await upload(connection, job, content, job.form);
    stopwatch.record(since);
    stopwatch.bytes += content.sizeBytes;
    pushed.push(content);
    if (stopwatch.passed(job.seconds)) return;
  }
}

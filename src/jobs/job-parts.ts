import type { Logger } from '@nestjs/common';
import { oneLine } from '../database/errors/one-line.js';
import type { JobRun } from './job.js';

/** After this, parts that are done start again while others continue. */
const MAX_ROUND_MS = 60_000;

/** A part of a job, in batches. It starts when its first batch is asked for. */
export interface JobPart {
  /** Logged when a batch fails. Identifies the part. */
  readonly failure: string;
  readonly batches: AsyncGenerator<void, void>;
}

/**
 * Runs the parts of a job, one batch of each in turn, until all are done in the same round. After a minute a
 * new round begins: parts that are not done continue, and the others start again. So no part delays the
 * others for long, and under any load each gets its share. A part that fails ends; the others continue.
 *
 * @param partsOf returns all parts, from the start.
 * @param beforeTurn runs before every turn. If it fails, the run ends with its error.
 * @throws the first failure of a part, when all others are done.
 */
export async function* inTurns(
  run: JobRun,
  logger: Logger,
  partsOf: () => readonly JobPart[],
  beforeTurn: () => Promise<void>,
): AsyncGenerator<void, void> {
  let unfinished: readonly JobPart[] = [];
  const failures: Error[] = [];
  try {
    do {
      const started = unfinished;
      unfinished = partsOf().map((part) => started.find(({ failure }) => failure === part.failure) ?? part);
      const deadline = performance.now() + MAX_ROUND_MS;
      while (unfinished.length > 0 && performance.now() < deadline) {
        await beforeTurn();
        for (const part of unfinished) {
          if (run.signal.aborted) return;
          const isDone = await part.batches.next().then(
            ({ done }) => done === true,
            (error: unknown) => {
              if (!run.signal.aborted) logger.warn({ err: error }, part.failure);
              failures.push(new Error(`${part.failure}: ${oneLine(error)}`, { cause: error }));
              return true;
            },
          );
          if (isDone) unfinished = unfinished.filter((other) => other !== part);
          else yield;
        }
      }
    } while (unfinished.length > 0);
  } finally {
    // They may hold resources: an open listing, for example.
    for (const { batches } of unfinished) await batches.return().catch(() => undefined);
  }
  if (failures[0] !== undefined) throw failures[0];
}

/** Repeats work on up to `size` items until it returns fewer. */
export async function* inBatches(size: number, work: () => Promise<number>): AsyncGenerator<void, void> {
  while ((await work()) >= size) yield;
}

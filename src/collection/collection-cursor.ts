import type { JobRun, JsonValue } from '../jobs/job.js';

/** The part of the job's cursor that a stage has saved last. Empty at first. */
export function stageCursor(run: JobRun, stage: string): Readonly<Record<string, JsonValue>> {
  return asObject(asObject(run.cursor)[stage] ?? null);
}

/** Replaces the part of a stage. Saved with the next `yield`. */
export function saveStageCursor(
  run: JobRun,
  stage: string,
  cursor: Readonly<Record<string, JsonValue>>,
): void {
  run.saveCursor({ ...asObject(run.cursor), [stage]: cursor });
}

/** A saved position, or the first one. */
export function positionOf(value: JsonValue | undefined, first: string): string {
  return typeof value === 'string' ? value : first;
}

function asObject(value: JsonValue): Readonly<Record<string, JsonValue>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, JsonValue>>)
    : {};
}

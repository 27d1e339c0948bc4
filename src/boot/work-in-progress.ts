import { quantity } from '../common/quantity.js';

/** What a stop waits for. */
export interface WorkInProgress {
  /** Responses that are not complete. */
  readonly requests: number;
  /** Uploads that are being written. */
  readonly uploads: number;
  /** Events of uploads that are being recorded. */
  readonly events: number;
}

export const NO_WORK: WorkInProgress = { requests: 0, uploads: 0, events: 0 };

export function sumOfWork(parts: readonly WorkInProgress[]): WorkInProgress {
  return parts.reduce(
    (sum, part) => ({
      requests: sum.requests + part.requests,
      uploads: sum.uploads + part.uploads,
      events: sum.events + part.events,
    }),
    NO_WORK,
  );
}

/** `waits up to 5 s for 3 requests, 2 uploads`. */
export function describeWait(graceSeconds: number, { requests, uploads, events }: WorkInProgress): string {
  const counts = [
    [requests, 'request'],
    [uploads, 'upload'],
    [events, 'event'],
  ] as const;
  const parts = counts.filter(([count]) => count > 0).map(([count, noun]) => quantity(count, noun));
  return parts.length === 0 ? 'nothing to wait for' : `waits up to ${graceSeconds} s for ${parts.join(', ')}`;
}

import { STATUS_CODES } from 'node:http';

/** An error outside `/v2` (RFC 9457), which has no shape of the spec's to keep to. */
export interface Problem {
  readonly type: 'about:blank';
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly requestId: string;
}

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

/**
 * Whether errors of a path are problems. Everything that isn't known to be Berth's own is answered as the
 * spec says.
 */
export function answersProblems(path: string): boolean {
  return /^\/(api|health)(\/|$)/.test(path);
}

export function problem(status: number, detail: string, requestId: string): Problem {
  return { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, detail, requestId };
}

import { STATUS_CODES } from 'node:http';

/** The body of an error outside `/v2`, where the spec defines none (RFC 9457). */
export interface Problem {
  readonly type: 'about:blank';
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly requestId: string;
}

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

/** Whether errors of a path are problems: those of Berth's own pages and APIs. All others get the spec's. */
export function sendsProblems(path: string): boolean {
  return path === '/' || /^\/(api|health|metrics)(\/|$)/.test(path);
}

export function problem(status: number, detail: string, requestId: string): Problem {
  return { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, detail, requestId };
}

import type { AccountOptions } from '../../support/access-fixtures.js';

/** The columns: what an account has on `team/…`, or on the registry. */
const OPTIONS = {
  'signed in': {},
  pull: { grants: { 'team/**': 'pull' } },
  push: { grants: { 'team/**': 'push' } },
  maintain: { grants: { 'team/**': 'maintain' } },
  reader: { role: 'reader' },
  admin: { role: 'admin' },
} as const satisfies Record<string, AccountOptions>;

export type Column = keyof typeof OPTIONS;
export const COLUMNS = {
  names: Object.keys(OPTIONS) as Column[],
  options: OPTIONS as Record<Column, AccountOptions>,
};

/** The rows of docs/access.md, and who gets in. */
const ROWS = {
  'signed in': ['signed in', 'pull', 'push', 'maintain', 'reader', 'admin'],
  pull: ['pull', 'push', 'maintain', 'admin'],
  push: ['push', 'maintain', 'admin'],
  delete: ['maintain', 'admin'],
  'read a repository in the admin API': ['pull', 'push', 'maintain', 'reader', 'admin'],
  'change a repository in the admin API': ['maintain', 'admin'],
  'read the registry': ['reader', 'admin'],
  'change the registry': ['admin'],
} as const satisfies Record<string, readonly Column[]>;

type GuardedRow = keyof typeof ROWS;
export type Row = GuardedRow | 'public';

export function allowedIn(row: GuardedRow, column: Column): boolean {
  return (ROWS[row] as readonly Column[]).includes(column);
}

const DISTRIBUTION: Readonly<Record<string, Row>> = {
  'GET /v2': 'signed in',
  'GET /v2/_catalog': 'signed in',
  'GET /v2/*name/tags/list': 'pull',
  'GET /v2/*name/referrers/:digest': 'pull',
  'GET /v2/*name/manifests/:reference': 'pull',
  'PUT /v2/*name/manifests/:reference': 'push',
  'DELETE /v2/*name/manifests/:reference': 'delete',
  'GET /v2/*name/blobs/:digest': 'pull',
  'DELETE /v2/*name/blobs/:digest': 'delete',
  'POST /v2/*name/blobs/uploads': 'push',
  'GET /v2/*name/blobs/uploads/:uploadId': 'push',
  'PATCH /v2/*name/blobs/uploads/:uploadId': 'push',
  'PUT /v2/*name/blobs/uploads/:uploadId': 'push',
  'DELETE /v2/*name/blobs/uploads/:uploadId': 'push',
};

/** The row of a route, given as Express has it. `ALL`: the route that refuses all other methods. */
export function rowOf(method: string, path: string): Row | undefined {
  if (/^\/(?:$|auth\/|health\/|api\/docs)/.test(path)) return 'public';
  if (method === 'ALL') return /^\/(?:v2|api\/v1)(?:\/|$)/.test(path) ? 'signed in' : undefined;
  if (path === '/metrics') return 'read the registry';
  if (path.startsWith('/api/v1/')) return adminRowOf(method === 'GET', path.slice('/api/v1/'.length));
  return DISTRIBUTION[`${method} ${path}`];
}

function adminRowOf(isRead: boolean, path: string): Row {
  if (/^me(?:\/|$)/.test(path)) return 'signed in';
  // The handler decides. A caller that may not read its repository does not find it: deletion-rights.spec.
  if (path.startsWith('deletions/:id')) return 'signed in';
  // The page has only repositories that the caller may pull: access-table.spec.
  if (path === 'blobs/:digest/repositories') return 'signed in';
  if (path.startsWith('repositories/*name'))
    return isRead ? 'read a repository in the admin API' : 'change a repository in the admin API';
  return isRead ? 'read the registry' : 'change the registry';
}

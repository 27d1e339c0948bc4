import type { IncomingMessage } from 'node:http';
import { printable } from '../../common/printable.js';

/** What a request is about, as far as a front must know. */
export type Route =
  /** `/v2/<name>/blobs/uploads/<id>` */
  | 'session'
  /** `/v2/<name>/blobs/uploads/` */
  | 'uploads'
  /** `/v2/<name>/blobs/<digest>` */
  | 'blob'
  /** `/v2/<name>/manifests/<reference>` */
  | 'manifest'
  | 'token'
  | 'other';

/** What a request is about. The names are for its line in the log, as that of a replica has them. */
export interface Place {
  readonly route: Route;
  readonly repository?: string;
  readonly params?: { readonly reference?: string; readonly digest?: string; readonly uploadId?: string };
}

/** Replicas accept no longer name of a repository. */
const MAX_NAME = 255;

const ROUTES: readonly (readonly [RegExp, Route])[] = [
  [/^\/v2\/(?<repository>.+)\/blobs\/uploads\/?$/, 'uploads'],
  [/^\/v2\/(?<repository>.+)\/blobs\/uploads\/(?<uploadId>[^/]+)$/, 'session'],
  [/^\/v2\/(?<repository>.+)\/blobs\/(?<digest>[^/]+)$/, 'blob'],
  [/^\/v2\/(?<repository>.+)\/manifests\/(?<reference>[^/]+)$/, 'manifest'],
  [/^\/auth\/token$/, 'token'],
];

/** As replicas label the same routes in their metrics. */
export const ROUTE_LABELS: Readonly<Record<Route, string>> = {
  session: '/v2/*name/blobs/uploads/:uploadId',
  uploads: '/v2/*name/blobs/uploads',
  blob: '/v2/*name/blobs/:digest',
  manifest: '/v2/*name/manifests/:reference',
  token: '/auth/token',
  other: 'other',
};

/** A path that can't be decoded is `other`: the replica refuses it. */
export function placeOf({ url = '' }: IncomingMessage): Place {
  const path = decoded(url.split('?', 1)[0] ?? '');
  for (const [pattern, route] of ROUTES) {
    const match = pattern.exec(path);
    if (match === null) continue;
    const { repository = '', ...params } = match.groups ?? {};
    return repository === '' ? { route } : { route, repository: printable(repository, MAX_NAME), params };
  }
  return { route: 'other' };
}

export function routeOf(request: IncomingMessage): Route {
  return placeOf(request).route;
}

function decoded(path: string): string {
  if (!path.includes('%')) return path;
  try {
    return decodeURIComponent(path);
  } catch {
    return '';
  }
}

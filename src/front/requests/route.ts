import type { IncomingMessage } from 'node:http';

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

const ROUTES: readonly (readonly [RegExp, Route])[] = [
  [/^\/v2\/.+\/blobs\/uploads\/?$/, 'uploads'],
  [/^\/v2\/.+\/blobs\/uploads\/[^/]+$/, 'session'],
  [/^\/v2\/.+\/blobs\/[^/]+$/, 'blob'],
  [/^\/v2\/.+\/manifests\/[^/]+$/, 'manifest'],
  [/^\/auth\/token$/, 'token'],
];

/** A path that can't be decoded is `other`: the replica refuses it. */
export function routeOf({ url = '' }: IncomingMessage): Route {
  const path = decoded(url.split('?', 1)[0] ?? '');
  return ROUTES.find(([pattern]) => pattern.test(path))?.[1] ?? 'other';
}

function decoded(path: string): string {
  if (!path.includes('%')) return path;
  try {
    return decodeURIComponent(path);
  } catch {
    return '';
  }
}

import { createHash } from 'node:crypto';
import { HOST } from '../load/connection.js';
import { MANIFEST_TYPE } from '../load/jobs.js';
import { usesTls } from '../load/scheme.js';
import type { Target } from './bench-case.js';

/** Sends a request with an ordinary HTTP client. */
export async function fetchFrom({ server }: Target, path: string, init: RequestInit = {}): Promise<Response> {
  const response = await fetch(`${usesTls() ? 'https' : 'http'}://${HOST}:${server.port}${path}`, init);
  if (!response.ok) throw new Error(`${server.name}: ${path} returned ${response.status}`);
  return response;
}

/** Throws unless the content at a path has its digest. */
export async function verifyDigest(target: Target, path: string, digest: string): Promise<void> {
  const { body } = await fetchFrom(target, path, { headers: { Accept: MANIFEST_TYPE } });
  const hash = createHash('sha256');
  if (body) for await (const bytes of body) hash.update(bytes as Uint8Array);
  const found = `sha256:${hash.digest('hex')}`;
  if (found !== digest)
    throw new Error(`${target.server.name}: ${path} has the digest ${found} instead of ${digest}`);
}

/** The body of a list, parsed. */
export async function fetchJson(target: Target, path: string): Promise<unknown> {
  return (await fetchFrom(target, path)).json();
}

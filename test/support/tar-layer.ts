import { randomBytes } from 'node:crypto';
import { digestOf } from './registry-client.js';
import { tarEntry, type TarFields, tarOf, tarsumOf } from './tar-archive.js';

export interface TarLayer {
  readonly bytes: Buffer;
  readonly sha256: string;
  /** The tarsums, by version. */
  readonly v0: string;
  readonly v1: string;
}

/** A layer that no other test has, with its digests. */
export function tarLayer(fields: TarFields = {}): TarLayer {
  const entries = [
    { name: 'file', body: randomBytes(2000), ...fields },
    { name: 'dir/', typeflag: '5' },
  ];
  const bytes = tarOf(...entries.map(tarEntry));
  return { bytes, sha256: digestOf(bytes), v0: tarsumOf(0, entries), v1: tarsumOf(1, entries) };
}

/** What a query must be to name these digests: a tarsum has a `+`. */
export function inQuery(...digests: string[]): string {
  return digests.map((digest) => `digest=${encodeURIComponent(digest)}`).join('&');
}

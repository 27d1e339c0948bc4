import { createHash } from 'node:crypto';
import { MANIFEST_TYPE, type PushedImage } from '../load/jobs.js';
import { withQuery } from '../load/request-text.js';
import { defineGroup, perSecond, type CaseGroup, type Target } from './bench-case.js';
import { fetchFrom } from './check.js';
import { pushSmallImage } from './manifests.js';
import type { Sizes } from './sizes.js';

const REPOSITORY = 'bench/subject';
const CONNECTIONS = 4;
const EMPTY = Buffer.from('{}');
const PARALLEL = 8;

/** The list of referrers of an image with very many: signatures, attestations. */
export function referrers({ referrers: count }: Sizes): CaseGroup {
  return defineGroup('referrers', seedReferrers, [
    {
      name: `referrers of a subject that has ${count.toLocaleString('en-US')}, ${CONNECTIONS} connections`,
      unit: 'requests/s',
      withoutPeer: 'distribution has no referrers API, neither 2.8 nor 3',
      run: async (target, subject, { seconds }) => {
        const path = pathOf(subject);
        const bodyBytes = await verifyList(target, path, count);
        const request = { method: 'GET', path, status: 200, bodyBytes } as const;
        const { generator, server } = target;
        return perSecond(
          await generator.run({
            kind: 'requests',
            port: server.port,
            connections: CONNECTIONS,
            seconds,
            requests: [request],
          }),
        );
      },
      verify: async (target, subject) => {
        await verifyList(target, pathOf(subject), count);
      },
    },
  ]);
}

function pathOf({ manifest }: PushedImage): string {
  return `/v2/${REPOSITORY}/referrers/${manifest.digest}`;
}

/** Returns the length of the list in bytes. */
async function verifyList(target: Target, path: string, count: number): Promise<number> {
  const text = await (await fetchFrom(target, path)).text();
  const { manifests } = JSON.parse(text) as { manifests: unknown[] };
  if (manifests.length !== count)
    throw new Error(`${path} lists ${manifests.length} referrers instead of ${count}`);
  return Buffer.byteLength(text);
}

async function seedReferrers(target: Target): Promise<PushedImage> {
  const image = await pushSmallImage(target, REPOSITORY, 'subject');
  if (target.kind === 'peer') return image;
  const empty = digestOf(EMPTY);
  const started = await fetchFrom(target, `/v2/${REPOSITORY}/blobs/uploads/`, { method: 'POST' });
  await fetchFrom(target, withQuery(started.headers.get('location') ?? '', `digest=${empty}`), {
    method: 'PUT',
    body: EMPTY,
  });
  const waiting = Array.from({ length: target.sizes.referrers }, (_, n) =>
    signatureOf(image, empty, n),
  ).values();
  const push = async (): Promise<void> => {
    for (const manifest of waiting) {
      const init = { method: 'PUT', body: manifest, headers: { 'Content-Type': MANIFEST_TYPE } };
      await fetchFrom(target, `/v2/${REPOSITORY}/manifests/${digestOf(Buffer.from(manifest))}`, init);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, push));
  return image;
}

function signatureOf({ manifest }: PushedImage, empty: string, n: number): string {
  const emptyDescriptor = {
    mediaType: 'application/vnd.oci.empty.v1+json',
    digest: empty,
    size: EMPTY.length,
  };
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    artifactType: 'application/vnd.example.signature',
    config: emptyDescriptor,
    layers: [emptyDescriptor],
    subject: { mediaType: MANIFEST_TYPE, digest: manifest.digest, size: manifest.sizeBytes },
    annotations: { 'org.example.number': `${n}` },
  });
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

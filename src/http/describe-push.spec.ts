import { describe, expect, it } from '@jest/globals';
import { parseDigest } from '../oci/digest.js';
import { OCI_INDEX, OCI_MANIFEST } from '../oci/media-types.js';
import type { ParsedManifest } from '../oci/manifest.js';
import { parseReference } from '../oci/reference.js';
import { parseRepositoryName } from '../oci/repository-name.js';
import { parseTag } from '../oci/tag.js';
import { describePush } from './describe-push.js';

const digest = parseDigest(`sha256:${'a'.repeat(64)}`);
const descriptor = (size: number) => ({ mediaType: 'a/b', digest, size });
const layer = (size: number) => ({ ...descriptor(size), role: 'layer' as const });
const config = { ...descriptor(500), role: 'config' as const };
const image = (...sizes: number[]): ParsedManifest => ({
  mediaType: OCI_MANIFEST,
  annotations: {},
  blobs: [config, ...sizes.map(layer)],
  children: [],
});
const index = (count: number): ParsedManifest => ({
  mediaType: OCI_INDEX,
  annotations: {},
  blobs: [],
  children: Array.from({ length: count }, () => descriptor(700)),
});

describe('describePush', () => {
  it.each([
    ['1.0', [], image(4_000_000, 10_000_000, 10_000_000), `pushed demo/app:1.0 ${digest} 3 layers 24 MB`],
    ['1.0', [], image(500), `pushed demo/app:1.0 ${digest} 1 layer 1.0 kB`],
    [digest, [], image(), `pushed demo/app@${digest} 0 layers 500 B`],
    [digest, ['1.0', 'latest'], index(2), `pushed demo/app@${digest} 2 manifests as 1.0, latest`],
    ['1.0', [], index(1), `pushed demo/app:1.0 ${digest} 1 manifest`],
    [
      digest,
      Array.from({ length: 11 }, (_, n) => `t${n}`),
      index(0),
      `pushed demo/app@${digest} 0 manifests as t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, ...`,
    ],
  ])('of %s, also as %j', (reference, tags, manifest, expected) => {
    const [, message] = describePush({
      repository: parseRepositoryName('demo/app'),
      reference: parseReference(reference),
      tags: tags.map(parseTag),
      digest,
      manifest,
    });
    expect(message).toBe(expected);
  });

  it('has the figures as fields', () => {
    const push = { repository: parseRepositoryName('a'), reference: parseReference('b'), tags: [], digest };
    expect(describePush({ ...push, manifest: image(4, 5) })[0]).toEqual({ layers: 2, contentBytes: 509 });
    expect(describePush({ ...push, manifest: index(2) })[0]).toEqual({ manifests: 2 });
  });
});

import { digestOf } from './digest.js';
import {
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  type ManifestMediaType,
  OCI_EMPTY,
  OCI_INDEX,
  OCI_MANIFEST,
} from './media-types.js';

/** Values for the API's description. Swagger UI fills them in, so they are real. */
export const EXAMPLE_REPOSITORY = 'demo/my-image';
export const EXAMPLE_TAG = '1.0';
export const EXAMPLE_UPLOAD_ID = '3f2504e0-4f89-41d3-9a0c-0305e82c3301';
export const EXAMPLE_REPLICA = 'registry-1/4711/9b2f7c1e-52a4-4d0c-8f6b-1a3f0d7e5c24';
export const EXAMPLE_TIME = '2026-01-31T12:00:00.000Z';

/** The blob `{}` (image-spec, manifest.md, "Guidance for an Empty Descriptor"). */
export const EXAMPLE_BLOB = '{}';
export const EXAMPLE_BLOB_DIGEST = digestOf('sha256', Buffer.from(EXAMPLE_BLOB));

const blob = (mediaType: string) => ({ mediaType, digest: EXAMPLE_BLOB_DIGEST, size: EXAMPLE_BLOB.length });

/**
 * Manifests that can be pushed: the indexes as they stand, because they list nothing; the images after the
 * blob `{}`.
 */
export const EXAMPLE_MANIFESTS: Readonly<Record<ManifestMediaType, object>> = {
  [OCI_INDEX]: {
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: [],
    annotations: { 'org.opencontainers.image.description': 'An example' },
  },
  [OCI_MANIFEST]: {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    artifactType: 'application/vnd.example',
    config: blob(OCI_EMPTY),
    layers: [blob(OCI_EMPTY)],
  },
  [DOCKER_MANIFEST_LIST]: { schemaVersion: 2, mediaType: DOCKER_MANIFEST_LIST, manifests: [] },
  [DOCKER_MANIFEST]: {
    schemaVersion: 2,
    mediaType: DOCKER_MANIFEST,
    config: blob('application/vnd.docker.container.image.v1+json'),
    layers: [blob('application/vnd.docker.image.rootfs.diff.tar.gzip')],
  },
};

/** The digest of the OCI index as Swagger UI sends it, indented by two spaces. */
export const EXAMPLE_MANIFEST_DIGEST = digestOf(
  'sha256',
  Buffer.from(JSON.stringify(EXAMPLE_MANIFESTS[OCI_INDEX], null, 2)),
);

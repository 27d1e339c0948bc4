import { ManifestInvalidError } from './errors.js';

export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
export const DOCKER_MANIFEST_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';

/**
 * The empty JSON object as a config or layer (image-spec, "Guidance for an Empty Descriptor"). It is an
 * ordinary blob.
 */
export const OCI_EMPTY = 'application/vnd.oci.empty.v1+json';

export const IMAGE_MEDIA_TYPES = [OCI_MANIFEST, DOCKER_MANIFEST] as const;
export const INDEX_MEDIA_TYPES = [OCI_INDEX, DOCKER_MANIFEST_LIST] as const;

/** The manifests that Berth accepts. */
export const MANIFEST_MEDIA_TYPES = [...IMAGE_MEDIA_TYPES, ...INDEX_MEDIA_TYPES] as const;
export type ManifestMediaType = (typeof MANIFEST_MEDIA_TYPES)[number];

/** Removed from the image-spec before version 1.1. Clients push an image manifest instead. */
export const OCI_ARTIFACT_MANIFEST = 'application/vnd.oci.artifact.manifest.v1+json';

/** Docker's schema 1 is refused: its digest is not the digest of its bytes, and clients no longer use it. */
export const SCHEMA1_MEDIA_TYPES: readonly string[] = [
  'application/vnd.docker.distribution.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v1+prettyjws',
];

/**
 * Layers that may be missing from a registry (image-spec, "Non-Distributable Layers", and Docker's foreign
 * layers).
 */
const NON_DISTRIBUTABLE_LAYERS: readonly string[] = [
  'application/vnd.oci.image.layer.nondistributable.v1.tar',
  'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
  'application/vnd.oci.image.layer.nondistributable.v1.tar+zstd',
  'application/vnd.docker.image.rootfs.foreign.diff.tar',
  'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
];

// RFC 6838, section 4.2: restricted names of at most 127 characters.
const RESTRICTED_NAME = '[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}';
const MEDIA_TYPE = new RegExp(`^${RESTRICTED_NAME}/${RESTRICTED_NAME}$`);

/** The longest media type that RFC 6838 allows: two names of 127 characters and the slash. */
export const MAX_MEDIA_TYPE_LENGTH = 255;

/**
 * The media type of a `Content-Type` header, without its parameters, with its case unchanged.
 *
 * @throws ManifestInvalidError if it is not a media type of RFC 6838, section 4.2.
 */
export function parseMediaType(header: string): string {
  const [text = ''] = header.split(';', 1);
  const mediaType = text.trim();
  if (!MEDIA_TYPE.test(mediaType)) {
    throw new ManifestInvalidError('malformed Content-Type: expected a media type');
  }
  return mediaType;
}

/**
 * Returns the manifest type of a media type of any case (RFC 6838, section 4.2), else undefined.
 */
export function toManifestMediaType(mediaType: string): ManifestMediaType | undefined {
  const lowered = mediaType.toLowerCase();
  return MANIFEST_MEDIA_TYPES.find((known) => known === lowered);
}

/** Whether manifests of this type list other manifests. */
export function isIndexMediaType(mediaType: string): boolean {
  return mediaType === OCI_INDEX || mediaType === DOCKER_MANIFEST_LIST;
}

/** Whether it is a type of Docker, which requires `mediaType` in the manifest. */
export function isDockerMediaType(mediaType: ManifestMediaType): boolean {
  return mediaType === DOCKER_MANIFEST || mediaType === DOCKER_MANIFEST_LIST;
}

/** Whether a layer of this type may be missing from the registry. */
export function isNonDistributable(mediaType: string): boolean {
  return NON_DISTRIBUTABLE_LAYERS.includes(mediaType);
}

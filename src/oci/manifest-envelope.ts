import { type Descriptor, parseDescriptor } from './descriptor.js';
import { ManifestInvalidError } from './errors.js';
import { isJsonObject, type JsonObject } from './json.js';
import { JsonError } from './json-error.js';
import { JsonReader } from './json-reader.js';
import { type JsonShape, objectOf } from './json-shape.js';
import {
  isDockerMediaType,
  isIndexMediaType,
  MANIFEST_MEDIA_TYPES,
  type ManifestMediaType,
  MAX_MEDIA_TYPE_LENGTH,
  OCI_ARTIFACT_MANIFEST,
  OCI_INDEX,
  OCI_MANIFEST,
  parseMediaType,
  SCHEMA1_MEDIA_TYPES,
  toManifestMediaType,
} from './media-types.js';
import { inTimeSlices } from './time-slices.js';

/** Content types that do not tell the type of a manifest; the manifest itself then decides. */
const GENERIC_CONTENT_TYPES: readonly string[] = ['application/json', 'application/octet-stream'];

/** Manifests are rarely larger. Smaller ones are read in one step, in less than a millisecond. */
const SLICED_BYTES = 64 * 1024;
/** Bytes that are read between two checks of the clock. */
const STEP_BYTES = 16 * 1024;

/** Keeps a field's value if it is not a list or an object. */
const SCALAR: JsonShape = {};
const DESCRIPTOR = objectOf({ mediaType: SCALAR, digest: SCALAR, size: SCALAR });

/** Gets each descriptor of a list while the list is read. */
export interface DescriptorLists {
  readonly layers: (layer: Descriptor) => void;
  readonly manifests: (child: Descriptor) => void;
}

/** The fields of a manifest that Berth reads. The rest is only checked to be JSON. */
function manifestShape({ layers, manifests }: DescriptorLists): JsonShape {
  return objectOf({
    schemaVersion: SCALAR,
    mediaType: SCALAR,
    fsLayers: SCALAR,
    config: DESCRIPTOR,
    layers: listOf('layers', layers),
    manifests: listOf('manifests', manifests),
    subject: DESCRIPTOR,
    artifactType: SCALAR,
    annotations: { everyMember: SCALAR },
  });
}

/**
 * Each descriptor is parsed when it ends. So a list that is not of descriptors is refused at its first item,
 * and the objects of millions of them never are in memory together.
 */
function listOf(field: string, onDescriptor: (descriptor: Descriptor) => void): JsonShape {
  return {
    items: DESCRIPTOR,
    onItem: (item, index) => onDescriptor(parseDescriptor(item, `${field}[${index}]`)),
  };
}

/**
 * Decodes the fields of a manifest that Berth reads. Other requests are served meanwhile, also for large
 * manifests.
 *
 * @param lists gets the descriptors of `layers` and `manifests`, which are empty in the result.
 * @throws ManifestInvalidError if the bytes are not UTF-8 or JSON, or have a byte order mark, which clients'
 *   JSON parsers refuse; if the JSON is not an object, or parsers interpret it differently (see
 *   `JsonReader`); for schema 1. DigestInvalidError for the digest of a layer or child.
 */
export async function decodeManifest(bytes: Uint8Array, lists: DescriptorLists): Promise<JsonObject> {
  if (bytes.length === 0) throw new ManifestInvalidError('the request has no body');
  const value = await readJson(bytes, manifestShape(lists));
  if (!isJsonObject(value)) {
    throw new ManifestInvalidError('expected a JSON object');
  }
  if (value.schemaVersion === 1 || isPresent(value.fsLayers)) {
    throw schema1Error();
  }
  return value;
}

/**
 * Decides a manifest's media type: by its Content-Type, else its `mediaType` field, else its shape. All that
 * are present must agree, so that no two clients interpret the same bytes differently (CVE-2021-41190).
 *
 * @throws ManifestInvalidError if they disagree, Berth does not accept the type, the schema version is not 2
 *   (types that Berth does not accept may have none), or clients can't read a manifest of this type because
 *   of its `mediaType` field.
 */
export function resolveMediaType(manifest: JsonObject, contentType: string | undefined): ManifestMediaType {
  const pushed = fromContentType(contentType);
  const declared = fromField(manifest.mediaType);
  if (pushed !== undefined && declared !== undefined && pushed !== declared) {
    throw new ManifestInvalidError(`the Content-Type ${pushed} contradicts the mediaType field ${declared}`);
  }
  if (manifest.schemaVersion !== 2) {
    throw new ManifestInvalidError('schemaVersion: expected 2');
  }
  const isIndex = isPresent(manifest.manifests);
  const isImage = isPresent(manifest.config) || isPresent(manifest.layers);
  if (isIndex && isImage) {
    throw new ManifestInvalidError('it has manifests and a config or layers, which is ambiguous');
  }
  const mediaType = pushed ?? declared ?? (isIndex ? OCI_INDEX : OCI_MANIFEST);
  if (isIndexMediaType(mediaType) ? isImage : isIndex) {
    throw new ManifestInvalidError(`its fields contradict its media type ${mediaType}`);
  }
  // OCI's types don't need the field. Clients compare it exactly.
  const isRequired = isDockerMediaType(mediaType) || declared !== undefined;
  if (isRequired && manifest.mediaType !== mediaType) {
    throw new ManifestInvalidError(
      `mediaType: expected ${mediaType}; without it, clients can't pull the manifest`,
    );
  }
  return mediaType;
}

/** Go clients write absent fields as null. */
export function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null;
}

async function readJson(bytes: Uint8Array, shape: JsonShape): Promise<unknown> {
  try {
    const reader = new JsonReader(bytes, shape);
    if (bytes.length <= SLICED_BYTES) reader.read(bytes.length);
    else await inTimeSlices(() => reader.read(STEP_BYTES));
    return reader.value;
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause;
    throw new ManifestInvalidError(cause.message, { cause });
  }
}

function fromContentType(header: string | undefined): ManifestMediaType | undefined {
  if (header === undefined || header.trim() === '') {
    return undefined;
  }
  const mediaType = parseMediaType(header);
  return GENERIC_CONTENT_TYPES.includes(mediaType.toLowerCase()) ? undefined : requireSupported(mediaType);
}

function fromField(value: unknown): ManifestMediaType | undefined {
  if (!isPresent(value) || value === '') {
    return undefined;
  }
  if (typeof value !== 'string') {
    throw new ManifestInvalidError('mediaType: expected a string');
  }
  return requireSupported(value);
}

function requireSupported(mediaType: string): ManifestMediaType {
  if (SCHEMA1_MEDIA_TYPES.includes(mediaType.toLowerCase())) {
    throw schema1Error();
  }
  const known = toManifestMediaType(mediaType);
  if (known === undefined) {
    const shown = mediaType.slice(0, MAX_MEDIA_TYPE_LENGTH);
    const advice =
      shown === OCI_ARTIFACT_MANIFEST
        ? 'push the artifact as an OCI image manifest with an artifactType'
        : `expected ${MANIFEST_MEDIA_TYPES.join(' or ')}`;
    throw new ManifestInvalidError(`unsupported media type ${shown}; ${advice}`, {
      detail: { mediaType: shown, supported: MANIFEST_MEDIA_TYPES },
    });
  }
  return known;
}

function schema1Error(): ManifestInvalidError {
  return new ManifestInvalidError(
    'Docker image manifest schema 1 is not supported: push the image as schema 2 or as an OCI image manifest',
  );
}

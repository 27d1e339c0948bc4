import { ManifestInvalidError } from './errors.js';
import { isJsonObject, type JsonObject } from './json.js';
import {
  isIndexMediaType,
  MANIFEST_MEDIA_TYPES,
  type ManifestMediaType,
  OCI_INDEX,
  OCI_MANIFEST,
  parseMediaType,
  SCHEMA1_MEDIA_TYPES,
  toManifestMediaType,
} from './media-types.js';

/** Content types that say no more than that there are bytes, or JSON; the manifest itself then decides. */
const GENERIC_CONTENT_TYPES: readonly string[] = ['application/json', 'application/octet-stream'];

/**
 * Decodes a manifest's bytes to an object of schema version 2.
 *
 * @throws ManifestInvalidError (400) for bytes that aren't UTF-8 or JSON, with a byte order mark too (clients'
 *   JSON parsers refuse it), for JSON that isn't an object, and for schema 1.
 */
export function decodeManifest(bytes: Uint8Array): JsonObject {
  const value = parseJson(bytes);
  if (!isJsonObject(value)) {
    throw new ManifestInvalidError('a manifest must be a JSON object');
  }
  if (value.schemaVersion === 1 || isPresent(value.fsLayers)) {
    throw schema1Error();
  }
  if (value.schemaVersion !== 2) {
    throw new ManifestInvalidError('schemaVersion: expected 2');
  }
  refuseLookAlikes(value);
  return value;
}

/**
 * Decides a manifest's media type: by its Content-Type, else its `mediaType` field, else its shape. All that are there
 * must agree, so that no two clients can take the same bytes for different things (CVE-2021-41190).
 *
 * @throws ManifestInvalidError (400) when they don't agree, or the type isn't one that Berth accepts.
 */
export function resolveMediaType(manifest: JsonObject, contentType: string | undefined): ManifestMediaType {
  const pushed = fromContentType(contentType);
  const declared = fromField(manifest.mediaType);
  if (pushed !== undefined && declared !== undefined && pushed !== declared) {
    throw new ManifestInvalidError(`the Content-Type ${pushed} contradicts the mediaType field ${declared}`);
  }
  const isIndex = isPresent(manifest.manifests);
  const isImage = isPresent(manifest.config) || isPresent(manifest.layers);
  if (isIndex && isImage) {
    throw new ManifestInvalidError('ambiguous manifest: it has manifests and a config or layers');
  }
  const mediaType = pushed ?? declared ?? (isIndex ? OCI_INDEX : OCI_MANIFEST);
  if (isIndexMediaType(mediaType) ? isImage : isIndex) {
    throw new ManifestInvalidError(`the fields of the manifest contradict its media type ${mediaType}`);
  }
  return mediaType;
}

const FIELDS = [
  'schemaVersion',
  'mediaType',
  'config',
  'layers',
  'manifests',
  'subject',
  'artifactType',
  'annotations',
];
const FIELDS_BY_LOWER_CASE = new Map(FIELDS.map((field) => [field.toLowerCase(), field]));

/** Go's JSON parser takes `Layers` for `layers`: its clients would see another manifest than was checked here. */
function refuseLookAlikes(manifest: JsonObject): void {
  for (const key of Object.keys(manifest)) {
    const field = FIELDS_BY_LOWER_CASE.get(key.toLowerCase());
    if (field !== undefined && field !== key) {
      throw new ManifestInvalidError(
        `ambiguous manifest: it has a field that differs from ${field} in case alone`,
      );
    }
  }
}

/** Go clients write what is absent as null. */
export function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return JSON.parse(text);
  } catch (cause) {
    throw new ManifestInvalidError('a manifest must be JSON in UTF-8', { cause });
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
    throw new ManifestInvalidError('unsupported manifest media type', {
      detail: { mediaType: mediaType.slice(0, 255), supported: MANIFEST_MEDIA_TYPES },
    });
  }
  return known;
}

function schema1Error(): ManifestInvalidError {
  return new ManifestInvalidError(
    'Docker image manifest schema 1 is not supported: push the image as schema 2 or as an OCI image manifest',
  );
}

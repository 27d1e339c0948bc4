import { type Digest, parseDigest } from './digest.js';
import { DigestInvalidError, INVALID_MANIFEST, ManifestInvalidError } from './errors.js';
import { isJsonObject } from './json.js';
import { MAX_MEDIA_TYPE_LENGTH } from './media-types.js';
import { isStorableText } from './text.js';

/** The part of a content descriptor that Berth acts on (image-spec, descriptor.md, "Properties"). */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** In bytes. */
  readonly size: number;
}

/**
 * Reads a descriptor. Further fields (`urls`, `data`, `platform`, …) are ignored.
 *
 * @param field its path in the manifest, for error messages: `layers[3]`.
 * @throws DigestInvalidError for a digest that is malformed or of an algorithm that Berth doesn't
 *   verify.
 * @throws ManifestInvalidError for anything else.
 */
export function parseDescriptor(value: unknown, field: string): Descriptor {
  if (!isJsonObject(value)) {
    throw new ManifestInvalidError(`${field}: expected a descriptor`);
  }
  const { size } = value;
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw new ManifestInvalidError(`${field}.size: expected a number of bytes`);
  }
  const mediaType = parseMediaTypeField(value.mediaType, `${field}.mediaType`);
  if (mediaType === '') {
    throw new ManifestInvalidError(`${field}.mediaType: expected a media type`);
  }
  return { mediaType, digest: parseDigestField(value.digest, `${field}.digest`), size };
}

/**
 * Reads a media type. Its length is checked; its grammar is not, because registries never did.
 *
 * @throws ManifestInvalidError if it is not a string, too long, or cannot be stored in Postgres.
 */
export function parseMediaTypeField(value: unknown, field: string): string {
  if (typeof value !== 'string' || value.length > MAX_MEDIA_TYPE_LENGTH || !isStorableText(value)) {
    throw new ManifestInvalidError(`${field}: expected a media type`);
  }
  return value;
}

function parseDigestField(value: unknown, field: string): Digest {
  if (typeof value !== 'string') {
    throw new ManifestInvalidError(`${field}: expected a digest`);
  }
  try {
    return parseDigest(value);
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'malformed';
    throw new DigestInvalidError(`${INVALID_MANIFEST}: ${field}: ${reason}`, {
      detail: { field },
      cause: error,
    });
  }
}

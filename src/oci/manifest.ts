import { type Descriptor, parseDescriptor, parseMediaTypeField } from './descriptor.js';
import { type Digest } from './digest.js';
import { ManifestInvalidError } from './errors.js';
import { isJsonObject, type JsonObject } from './json.js';
import { decodeManifest, isPresent, resolveMediaType } from './manifest-envelope.js';
import { isIndexMediaType, isNonDistributable, type ManifestMediaType } from './media-types.js';
import { isStorableText } from './text.js';

/** A blob that a manifest needs. */
export interface BlobReference extends Descriptor {
  readonly role: 'config' | 'layer';
}

/** What a manifest says, as far as a registry checks and indexes it. Its bytes are kept apart, as pushed. */
export interface ParsedManifest {
  /** To be served as the Content-Type; in the lower case of its registration, however it was pushed. */
  readonly mediaType: ManifestMediaType;
  /**
   * What referrers are listed and filtered by (distribution-spec, "Listing Referrers"): the `artifactType`, else
   * for an image its config's media type, else nothing. Never empty.
   */
  readonly artifactType?: string | undefined;
  /** An image's `config.mediaType`. */
  readonly configMediaType?: string | undefined;
  readonly subject?: Digest | undefined;
  readonly annotations: Readonly<Record<string, string>>;
  /** The blobs that must exist, each digest once: the config, then the layers. No non-distributable layers. */
  readonly blobs: readonly BlobReference[];
  /** The manifests that must exist, each digest once. */
  readonly children: readonly Descriptor[];
}

export interface ManifestLimits {
  /** The most descriptors that `config`, `layers` and `manifests` may have together. */
  readonly maxReferences: number;
}

/**
 * Checks a manifest and reads what Berth indexes of it (image-spec, manifest.md and image-index.md; Docker's schema 2
 * equally). Unknown fields, `data` fields, empty or null lists and nested indexes are accepted. The caller has bounded
 * the bytes; time and memory are linear in them.
 *
 * @param contentType the request's header, with or without parameters.
 * @throws DigestInvalidError (400) for a descriptor's digest; ManifestInvalidError (400) for anything else.
 */
export function parseManifest(
  bytes: Uint8Array,
  contentType: string | undefined,
  limits: ManifestLimits,
): ParsedManifest {
  const manifest = decodeManifest(bytes);
  const mediaType = resolveMediaType(manifest, contentType);
  const artifactType = isPresent(manifest.artifactType)
    ? parseMediaTypeField(manifest.artifactType, 'artifactType')
    : '';
  const common = {
    mediaType,
    subject: isPresent(manifest.subject) ? parseDescriptor(manifest.subject, 'subject').digest : undefined,
    annotations: parseAnnotations(manifest.annotations),
  };
  if (isIndexMediaType(mediaType)) {
    const children = parseDescriptors(manifest, 'manifests', limits.maxReferences);
    return { ...common, artifactType: artifactType || undefined, blobs: [], children: distinct(children) };
  }
  const config = parseDescriptor(manifest.config, 'config');
  const blobs = parseBlobs(manifest, config, limits.maxReferences - 1);
  const configMediaType = config.mediaType;
  return { ...common, artifactType: artifactType || configMediaType, configMediaType, blobs, children: [] };
}

function parseBlobs(manifest: JsonObject, config: Descriptor, maxLayers: number): BlobReference[] {
  const layers = parseDescriptors(manifest, 'layers', maxLayers)
    .filter((layer) => !isNonDistributable(layer.mediaType))
    .map((layer): BlobReference => ({ ...layer, role: 'layer' }));
  return distinct([{ ...config, role: 'config' }, ...layers]);
}

function parseDescriptors(manifest: JsonObject, field: string, max: number): Descriptor[] {
  // Go writes an empty list as null, but leaves no required field out.
  const list = manifest[field] === null ? [] : manifest[field];
  if (!Array.isArray(list)) {
    throw new ManifestInvalidError(`${field}: expected a list of descriptors`);
  }
  if (list.length > max) {
    throw new ManifestInvalidError(`${field}: ${list.length} descriptors are more than the limit of ${max}`);
  }
  return list.map((value: unknown, index) => parseDescriptor(value, `${field}[${index}]`));
}

/** Keeps the first descriptor of each digest: an artifact may well have one blob as its config and as a layer. */
function distinct<T extends Descriptor>(descriptors: readonly T[]): T[] {
  const byDigest = new Map<Digest, T>();
  for (const descriptor of descriptors) {
    if (!byDigest.has(descriptor.digest)) {
      byDigest.set(descriptor.digest, descriptor);
    }
  }
  return [...byDigest.values()];
}

/** Far beyond any use; a manifest's worth of tiny ones would take a second of everybody's time. */
export const MAX_ANNOTATIONS = 10_000;

function parseAnnotations(value: unknown): Record<string, string> {
  if (!isPresent(value)) {
    return {};
  }
  if (!isJsonObject(value)) {
    throw new ManifestInvalidError('annotations: expected an object');
  }
  const entries = Object.entries(value);
  if (entries.length > MAX_ANNOTATIONS) {
    throw new ManifestInvalidError(
      `annotations: ${entries.length} are more than the limit of ${MAX_ANNOTATIONS}`,
    );
  }
  // fromEntries defines properties, so that a key `__proto__` stays a key.
  return Object.fromEntries(
    entries.map(([key, text]) => {
      if (typeof text !== 'string' || !isStorableText(text) || !isStorableText(key)) {
        throw new ManifestInvalidError('annotations: expected texts as values, without NUL characters');
      }
      return [key, text];
    }),
  );
}

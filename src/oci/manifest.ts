import { type Descriptor, parseDescriptor, parseMediaTypeField } from './descriptor.js';
import { type Digest } from './digest.js';
import { ManifestInvalidError } from './errors.js';
import { isJsonObject, type JsonObject } from './json.js';
import { decodeManifest, isPresent, resolveMediaType } from './manifest-envelope.js';
import { isIndexMediaType, isNonDistributable, type ManifestMediaType } from './media-types.js';
import { isStorableText } from './text.js';

/** A blob that a manifest refers to. */
export interface BlobReference extends Descriptor {
  readonly role: 'config' | 'layer';
}

/** The parts of a manifest that Berth checks and indexes. Its bytes are stored as pushed. */
export interface ParsedManifest {
  /** The `Content-Type` of responses, in the lower case of its registration. */
  readonly mediaType: ManifestMediaType;
  /**
   * The type that referrers are listed and filtered by (distribution-spec, "Listing Referrers"): the
   * `artifactType`, else an image's config media type, else undefined. Never empty.
   */
  readonly artifactType?: string | undefined;
  /** An image's `config.mediaType`. */
  readonly configMediaType?: string | undefined;
  readonly subject?: Digest | undefined;
  readonly annotations: Readonly<Record<string, string>>;
  /**
   * The blobs that must exist, each digest once: the config, then the layers. No non-distributable layers.
   */
  readonly blobs: readonly BlobReference[];
  /** The manifests or blobs that an index lists and that must exist, each digest once. */
  readonly children: readonly Descriptor[];
}

/**
 * Checks a manifest and reads the parts that Berth indexes (image-spec, manifest.md and image-index.md; also
 * Docker's schema 2). Unknown fields, `data` fields, empty or null lists and nested indexes are accepted. The
 * caller has limited the bytes; time and memory are linear in them, and other requests are served meanwhile.
 *
 * @param contentType the request's header, with or without parameters.
 * @throws DigestInvalidError for a descriptor's digest; ManifestInvalidError for anything else.
 */
export async function parseManifest(
  bytes: Uint8Array,
  contentType: string | undefined,
): Promise<ParsedManifest> {
  // The first descriptor of each digest: an artifact may have the same blob as its config and as a layer.
  const layers = new Map<Digest, BlobReference>();
  const children = new Map<Digest, Descriptor>();
  const manifest = await decodeManifest(bytes, {
    layers: (layer) => {
      if (isNonDistributable(layer.mediaType) || layers.has(layer.digest)) return;
      layers.set(layer.digest, { ...layer, role: 'layer' });
    },
    manifests: (child) => {
      if (!children.has(child.digest)) children.set(child.digest, child);
    },
  });
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
    expectList(manifest, 'manifests');
    const listed = [...children.values()];
    return { ...common, artifactType: artifactType || undefined, blobs: [], children: listed };
  }
  const config = parseDescriptor(manifest.config, 'config');
  expectList(manifest, 'layers');
  layers.delete(config.digest);
  const blobs: BlobReference[] = [{ ...config, role: 'config' }, ...layers.values()];
  const configMediaType = config.mediaType;
  return { ...common, artifactType: artifactType || configMediaType, configMediaType, blobs, children: [] };
}

function expectList(manifest: JsonObject, field: string): void {
  // Go writes an empty list as null, but does not omit required fields.
  if (manifest[field] !== null && !Array.isArray(manifest[field])) {
    throw new ManifestInvalidError(`${field}: expected a list of descriptors`);
  }
}

/** Much more than any use needs. Lists of referrers repeat annotations, so a limit is needed. */
export const MAX_ANNOTATIONS_LENGTH = 4 * 1024 * 1024;

function parseAnnotations(value: unknown): Record<string, string> {
  if (!isPresent(value)) {
    return {};
  }
  if (!isJsonObject(value)) {
    throw new ManifestInvalidError('annotations: expected an object');
  }
  const entries = Object.entries(value);
  const length = entries.reduce((sum, [key, text]) => sum + key.length + lengthOf(text), 0);
  if (length > MAX_ANNOTATIONS_LENGTH) {
    throw new ManifestInvalidError(
      `annotations: ${length} characters are more than the limit of ${MAX_ANNOTATIONS_LENGTH}`,
    );
  }
  // fromEntries defines properties, so a key `__proto__` stays a key.
  return Object.fromEntries(
    entries.map(([key, text]) => {
      if (typeof text !== 'string' || !isStorableText(text) || !isStorableText(key)) {
        throw new ManifestInvalidError('annotations: expected texts as values, without NUL characters');
      }
      return [key, text];
    }),
  );
}

function lengthOf(text: unknown): number {
  return typeof text === 'string' ? text.length : 0;
}

import { type Descriptor, parseDescriptor, parseMediaTypeField } from './descriptor.js';
import { type Digest } from './digest.js';
import { ManifestInvalidError } from './errors.js';
import { isJsonObject, type JsonObject } from './json.js';
import { decodeManifest, isPresent, resolveMediaType } from './manifest-envelope.js';
import { isIndexMediaType, isNonDistributable, type ManifestMediaType } from './media-types.js';
import { isStorableText } from './text.js';
import { inTimeSlices } from './time-slices.js';

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
  /** The manifests that must exist, each digest once. */
  readonly children: readonly Descriptor[];
}

export interface ManifestLimits {
  /** The maximum number of descriptors in `config`, `layers` and `manifests` together. */
  readonly maxReferences: number;
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
  limits: ManifestLimits,
): Promise<ParsedManifest> {
  const manifest = await decodeManifest(bytes, limits.maxReferences);
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
    const children = await parseDescriptors(manifest, 'manifests');
    return { ...common, artifactType: artifactType || undefined, blobs: [], children: distinct(children) };
  }
  const config = parseDescriptor(manifest.config, 'config');
  const blobs = await parseBlobs(manifest, config);
  const configMediaType = config.mediaType;
  return { ...common, artifactType: artifactType || configMediaType, configMediaType, blobs, children: [] };
}

async function parseBlobs(manifest: JsonObject, config: Descriptor): Promise<BlobReference[]> {
  const layers = (await parseDescriptors(manifest, 'layers'))
    .filter((layer) => !isNonDistributable(layer.mediaType))
    .map((layer): BlobReference => ({ ...layer, role: 'layer' }));
  return distinct([{ ...config, role: 'config' }, ...layers]);
}

/** A list up to this length is parsed in one step, in less than a millisecond. */
const STEP_DESCRIPTORS = 100;

async function parseDescriptors(manifest: JsonObject, field: string): Promise<Descriptor[]> {
  // Go writes an empty list as null, but does not omit required fields.
  const list = manifest[field] === null ? [] : manifest[field];
  if (!Array.isArray(list)) {
    throw new ManifestInvalidError(`${field}: expected a list of descriptors`);
  }
  const values: readonly unknown[] = list;
  const parsed: Descriptor[] = [];
  const step = () => {
    for (const value of values.slice(parsed.length, parsed.length + STEP_DESCRIPTORS)) {
      parsed.push(parseDescriptor(value, `${field}[${parsed.length}]`));
    }
    return parsed.length === values.length;
  };
  if (!step()) await inTimeSlices(step);
  return parsed;
}

/**
 * Keeps the first descriptor of each digest: an artifact may have the same blob as its config and as a layer.
 */
function distinct<T extends Descriptor>(descriptors: readonly T[]): T[] {
  const byDigest = new Map<Digest, T>();
  for (const descriptor of descriptors) {
    if (!byDigest.has(descriptor.digest)) {
      byDigest.set(descriptor.digest, descriptor);
    }
  }
  return [...byDigest.values()];
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

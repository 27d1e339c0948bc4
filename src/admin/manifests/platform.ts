import { type Digest, parseDigest } from '../../oci/digest.js';
import { isJsonObject } from '../../oci/json.js';

/** Configs that have a platform (image-spec, config.md; Docker's image spec). */
const CONFIG_MEDIA_TYPES: readonly unknown[] = [
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
];

/** An index lists few platforms. */
const MAX_PLATFORMS = 100;

/** The digest of an image's config; undefined if the manifest is no image. */
export function configOf(manifest: Uint8Array): Digest | undefined {
  const config = fieldsOf(parse(manifest)).config;
  const { mediaType, digest } = fieldsOf(config);
  return CONFIG_MEDIA_TYPES.includes(mediaType) ? parseDigest(String(digest)) : undefined;
}

/**
 * The platforms that an index lists, each once, in its order. Attestations of BuildKit have the platform
 * `unknown/unknown`, which is left out.
 */
export function platformsOf(index: Uint8Array): string[] {
  const { manifests } = fieldsOf(parse(index));
  if (!Array.isArray(manifests)) return [];
  const platforms = manifests
    .map((descriptor) => format(fieldsOf(fieldsOf(descriptor).platform)))
    .filter((platform) => platform !== undefined && platform !== 'unknown/unknown');
  return [...new Set(platforms as string[])].slice(0, MAX_PLATFORMS);
}

/** The platform of an image's config. */
export function platformOf(config: Uint8Array): string | undefined {
  return format(fieldsOf(parse(config)));
}

/** `os/architecture[/variant]`, as in `docker pull --platform`. */
function format({ os, architecture, variant }: Record<string, unknown>): string | undefined {
  if (!isName(os) || !isName(architecture)) return undefined;
  return isName(variant) ? `${os}/${architecture}/${variant}` : `${os}/${architecture}`;
}

/** Clients chose the text. */
function isName(value: unknown): value is string {
  return typeof value === 'string' && /^[\w.-]{1,64}$/.test(value);
}

function parse(json: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(json).toString());
  } catch {
    return undefined;
  }
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return isJsonObject(value) ? value : {};
}

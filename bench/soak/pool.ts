import { createCipheriv, createHash } from 'node:crypto';

const KIB = 1024;
const IMAGES = 12;
/** All images share the largest one, like a base layer. */
const BASE_BYTES = 1024 * KIB;
const LAYER_BYTES = [8 * KIB, 100 * KIB];
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';

export const REPOSITORIES = ['soak/a', 'soak/b', 'soak/c', 'soak/d'] as const;
export const TAGS: readonly string[] = Array.from({ length: 20 }, (_, index) => `v${index}`);

export interface PoolBlob {
  readonly digest: string;
  readonly bytes: Buffer;
}

export interface PoolImage {
  readonly blobs: readonly PoolBlob[];
  readonly manifest: PoolBlob;
  readonly mediaType: string;
}

/** All contents of a soak. They are pushed repeatedly, so that the stored content doesn't grow. */
export function imagePool(): readonly PoolImage[] {
  const base = blob('base', BASE_BYTES);
  return Array.from({ length: IMAGES }, (_, index) => {
    const layers = LAYER_BYTES.map((bytes, layer) => blob(`image ${index} layer ${layer}`, bytes));
    return image([blob(`image ${index} config`, KIB), base, ...layers], index);
  });
}

function image(blobs: readonly PoolBlob[], index: number): PoolImage {
  const [config, ...layers] = blobs.map(({ digest, bytes }) => ({
    mediaType: 'application/octet-stream',
    digest,
    size: bytes.length,
  }));
  const annotations = { 'soak.image': `${index}` };
  const text = JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST_TYPE, config, layers, annotations });
  return { blobs, manifest: named(Buffer.from(text)), mediaType: MANIFEST_TYPE };
}

function blob(name: string, sizeBytes: number): PoolBlob {
  const key = createHash('sha256').update(name).digest().subarray(0, 16);
  return named(createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes)));
}

function named(bytes: Buffer): PoolBlob {
  return { digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`, bytes };
}

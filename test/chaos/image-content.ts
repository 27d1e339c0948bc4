import { createHash } from 'node:crypto';
import { Content } from './content.js';

const IMAGE = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';
const CONFIG = 'application/vnd.oci.image.config.v1+json';
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';

/** A config or a layer, small enough to be kept in memory. */
export interface SmallBlob {
  readonly digest: string;
  readonly bytes: Buffer;
}

/** A manifest and its references. */
export interface ImageManifest {
  readonly digest: string;
  readonly mediaType: string;
  readonly bytes: Buffer;
  /** Digests of the config and the layers. */
  readonly blobs: readonly string[];
  /** Digests of the manifests that an index lists. */
  readonly children: readonly string[];
  readonly subject: string | undefined;
}

export function sha256(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** The same name and size give the same bytes. */
export function smallBlob(name: string, sizeBytes: number): SmallBlob {
  const bytes = new Content(name, sizeBytes).bytes(0, sizeBytes);
  return { digest: sha256(bytes), bytes };
}

/** @param name makes the manifest unique. */
export function imageManifest(
  name: string,
  config: SmallBlob,
  layers: readonly SmallBlob[],
  subject?: ImageManifest,
): ImageManifest {
  const content = {
    config: { mediaType: CONFIG, digest: config.digest, size: config.bytes.length },
    layers: layers.map(({ digest, bytes }) => ({ mediaType: LAYER, digest, size: bytes.length })),
    ...(subject && { subject: descriptorOf(subject) }),
  };
  const blobs = [config, ...layers].map(({ digest }) => digest);
  return manifestOf(name, IMAGE, content, { blobs, children: [], subject: subject?.digest });
}

export function indexManifest(name: string, children: readonly ImageManifest[]): ImageManifest {
  const digests = children.map(({ digest }) => digest);
  const content = { manifests: children.map(descriptorOf) };
  return manifestOf(name, INDEX, content, { blobs: [], children: digests, subject: undefined });
}

function manifestOf(
  name: string,
  mediaType: string,
  content: object,
  refersTo: Pick<ImageManifest, 'blobs' | 'children' | 'subject'>,
): ImageManifest {
  const annotations = { 'berth.chaos.name': name };
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...content, annotations }));
  return { digest: sha256(bytes), mediaType, bytes, ...refersTo };
}

function descriptorOf({ mediaType, digest, bytes }: ImageManifest) {
  return { mediaType, digest, size: bytes.length };
}

import { execFile } from 'node:child_process';
import { createCipheriv, createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { createGzip } from 'node:zlib';
import tar from 'tar-stream';
import { digestOf, OCI_MANIFEST } from '../support/registry-client.js';

const MIB = 1024 * 1024;
const EPOCH = new Date('2024-01-01T00:00:00Z');
const ARCHITECTURES: Record<string, string> = { x64: 'amd64' };
/** What Docker and containerd call the image that they import. */
export const IMAGE_NAME = 'docker.io/library/big:v1';

/** An image with one large layer that doesn't compress, in the forms that clients read. */
export interface BigImage {
  /** The layer as a tar archive. */
  readonly archive: string;
  /** The digest of the archive, which the image's configuration has. */
  readonly diffId: string;
  /** A directory of the OCI image layout, where the image's tag is `image`. */
  readonly layout: string;
  /** The same as a tar archive. */
  readonly layoutArchive: string;
}

/** Makes the image in a directory. The same size has the same bytes in every run. */
export async function makeBigImage(directory: string, layerBytes: number): Promise<BigImage> {
  const layout = join(directory, 'layout');
  const blobs = join(layout, 'blobs/sha256');
  await mkdir(blobs, { recursive: true });
  const archive = join(directory, 'layer.tar');
  const pack = tar.pack();
  const entry = pack.entry({ name: 'data', size: layerBytes, mtime: EPOCH });
  const packing = pipeline(Readable.from(randomBlocks(layerBytes)), entry).then(() => pack.finalize());
  const diffId = await writeHashed(pack, archive);
  await packing;
  const layer = await compressed(archive, blobs);
  const config = await jsonBlob(blobs, {
    created: EPOCH.toISOString(),
    architecture: ARCHITECTURES[process.arch] ?? process.arch,
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: [diffId] },
    history: [{ created: EPOCH.toISOString() }],
  });
  const manifest = await jsonBlob(blobs, {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', ...layer }],
  });
  const annotations = {
    'org.opencontainers.image.ref.name': 'image',
    'io.containerd.image.name': IMAGE_NAME,
  };
  const index = { schemaVersion: 2, manifests: [{ mediaType: OCI_MANIFEST, ...manifest, annotations }] };
  await writeFile(join(layout, 'index.json'), JSON.stringify(index));
  await writeFile(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const layoutArchive = join(directory, 'layout.tar');
  await promisify(execFile)('tar', ['-C', layout, '-cf', layoutArchive, '.']);
  return { archive, diffId, layout, layoutArchive };
}

/** Blocks that look random, from a cipher: faster than random bytes, and the same in every run. */
function* randomBlocks(bytes: number): Generator<Buffer> {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16));
  const zeros = Buffer.alloc(MIB);
  for (let left = bytes; left > 0; left -= MIB) yield cipher.update(zeros.subarray(0, Math.min(left, MIB)));
}

/** Without compression, which gains nothing here. */
async function compressed(archive: string, blobs: string): Promise<{ digest: string; size: number }> {
  const path = join(blobs, 'layer');
  const digest = await writeHashed(createReadStream(archive).pipe(createGzip({ level: 0 })), path);
  await rename(path, join(blobs, digest.slice('sha256:'.length)));
  return { digest, size: (await stat(join(blobs, digest.slice('sha256:'.length)))).size };
}

async function jsonBlob(blobs: string, content: unknown): Promise<{ digest: string; size: number }> {
  const text = JSON.stringify(content);
  const digest = digestOf(text);
  await writeFile(join(blobs, digest.slice('sha256:'.length)), text);
  return { digest, size: text.length };
}

/** Writes a file and returns its digest. */
async function writeHashed(content: AsyncIterable<unknown>, path: string): Promise<string> {
  const hash = createHash('sha256');
  const hashing = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  await pipeline(content, hashing, createWriteStream(path));
  return `sha256:${hash.digest('hex')}`;
}

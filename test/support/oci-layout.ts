import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import tar from 'tar-stream';
import { digestOf, OCI_INDEX, OCI_MANIFEST } from './registry-client.js';
import { patternBytes } from './upload-probe.js';

const CONFIG = 'application/vnd.oci.image.config.v1+json';
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';
/** The same bytes, and so the same digests, in every run. */
const EPOCH = new Date('2024-01-01T00:00:00Z');

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: { readonly os: string; readonly architecture: string };
}

/** Images in a directory of the OCI image layout, for clients to push. */
export interface OciLayout {
  readonly directory: string;
  /** An amd64 image of several layers, tagged `image`. */
  readonly image: Descriptor;
  /** The index of it and of an arm64 one, tagged `index`. */
  readonly index: Descriptor;
}

type Entry = readonly [name: string, content: Buffer | { readonly link: string } | 'directory'];

/** Makes the layout in `directory` from a statically linked busybox: images that run where containers can. */
export async function makeOciLayout(directory: string, busybox: string): Promise<OciLayout> {
  await mkdir(join(directory, 'blobs/sha256'), { recursive: true });
  const layout = new LayoutWriter(directory);
  const program = await readFile(busybox);
  const image = await layout.image('amd64', program);
  const index = await layout.json(OCI_INDEX, {
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: [image, await layout.image('arm64', program)],
  });
  const named = (descriptor: Descriptor, name: string) => ({
    ...descriptor,
    annotations: { 'org.opencontainers.image.ref.name': name },
  });
  const manifests = [named(image, 'image'), named(index, 'index')];
  await writeFile(join(directory, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
  await writeFile(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  return { directory, image, index };
}

class LayoutWriter {
  constructor(private readonly directory: string) {}

  async json(mediaType: string, content: unknown): Promise<Descriptor> {
    return this.blob(mediaType, Buffer.from(JSON.stringify(content)));
  }

  async image(architecture: string, busybox: Buffer): Promise<Descriptor> {
    const archives = await Promise.all(layersOf(architecture, busybox).map(pack));
    const layers = await Promise.all(archives.map((bytes) => this.blob(LAYER, gzipSync(bytes))));
    const config = await this.json(CONFIG, {
      created: EPOCH.toISOString(),
      architecture,
      os: 'linux',
      config: { Env: ['PATH=/bin'], Cmd: ['/bin/sh'] },
      rootfs: { type: 'layers', diff_ids: archives.map((bytes) => digestOf(bytes)) },
      history: archives.map((_, n) => ({ created: EPOCH.toISOString(), created_by: `layer ${n}` })),
    });
    const manifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers };
    return { ...(await this.json(OCI_MANIFEST, manifest)), platform: { os: 'linux', architecture } };
  }

  private async blob(mediaType: string, bytes: Buffer): Promise<Descriptor> {
    const digest = digestOf(bytes);
    await writeFile(join(this.directory, 'blobs', digest.replace(':', '/')), bytes);
    return { mediaType, digest, size: bytes.length };
  }
}

/** A shell, its configuration, and something that doesn't compress. */
function layersOf(architecture: string, busybox: Buffer): Entry[][] {
  return [
    [
      ['bin/', 'directory'],
      ['bin/busybox', busybox],
      ['bin/sh', { link: 'busybox' }],
    ],
    [
      ['etc/', 'directory'],
      ['etc/architecture', Buffer.from(`${architecture}\n`)],
    ],
    [
      ['srv/', 'directory'],
      ['srv/data', patternBytes(3 * 1024 * 1024, architecture.length)],
    ],
  ];
}

function pack(entries: readonly Entry[]): Promise<Buffer> {
  const archive = tar.pack();
  for (const [name, content] of entries) {
    const header = { name, mtime: EPOCH, uid: 0, gid: 0 };
    if (content === 'directory') archive.entry({ ...header, type: 'directory', mode: 0o755 });
    else if (Buffer.isBuffer(content)) archive.entry({ ...header, mode: 0o755 }, content);
    else archive.entry({ ...header, type: 'symlink', linkname: content.link });
  }
  archive.finalize();
  return buffer(archive);
}

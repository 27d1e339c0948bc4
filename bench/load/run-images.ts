import { openConnections, type Connection } from './connection.js';
import { contentOf, ContentMaker, type Content } from './content.js';
import {
  MANIFEST_TYPE,
  type ImagePullJob,
  type ImagePushJob,
  type JobResult,
  type PushedImage,
} from './jobs.js';
import { requestHead } from './request-text.js';
import { Stopwatch } from './stopwatch.js';
import { expectStatus, upload } from './upload.js';

interface PreparedImage {
  readonly tag: string;
  readonly config: Content;
  readonly layers: readonly Content[];
  readonly manifest: Content;
}

/**
 * Pushes an image per client as docker does: of each blob HEAD, POST, PATCH, PUT, some at once; then the
 * manifest.
 */
export async function runImagePushes(job: ImagePushJob): Promise<JobResult> {
  const maker = new ContentMaker(job.layerBytes);
  if (job.form === 'stream') maker.prepareChunked();
  const images = Array.from({ length: job.clients }, (_, n) => prepareImage(maker, job, n));
  const clients = await openClients(job.port, images.length, job.parallel);
  try {
    const stopwatch = new Stopwatch();
    await Promise.all(images.map((image, n) => pushImage(clients[n] ?? [], job, image, stopwatch)));
    return stopwatch.result({ images: images.map(describe) });
  } finally {
    for (const connection of clients.flat()) connection.close();
  }
}

/** Pulls images as docker does: the manifest by its tag, then config and layers, some at once. */
export async function runImagePulls(job: ImagePullJob): Promise<JobResult> {
  const clients = await openClients(job.port, job.images.length, job.parallel);
  try {
    const stopwatch = new Stopwatch();
    await Promise.all(job.images.map((image, n) => pullImage(clients[n] ?? [], job, image, stopwatch)));
    return stopwatch.result();
  } finally {
    for (const connection of clients.flat()) connection.close();
  }
}

async function pushImage(
  connections: readonly Connection[],
  job: ImagePushJob,
  image: PreparedImage,
  stopwatch: Stopwatch,
): Promise<void> {
  const since = performance.now();
  await share(connections, image.layers, (connection, layer) => pushBlob(connection, job, layer));
  const [first] = connections;
  if (first === undefined) return;
  await pushBlob(first, job, image.config);
  const { manifest, layers } = image;
  const head = requestHead(job.port, 'PUT', `/v2/${job.repository}/manifests/${image.tag}`, {
    'Content-Type': MANIFEST_TYPE,
    'Content-Length': `${manifest.sizeBytes}`,
  });
  expectStatus(
    await first.exchange(head, manifest.parts(0, manifest.sizeBytes)),
    201,
    'the PUT of a manifest',
  );
  stopwatch.record(since);
  stopwatch.bytes += layers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

async function pushBlob(connection: Connection, job: ImagePushJob, blob: Content): Promise<void> {
  const head = requestHead(job.port, 'HEAD', `/v2/${job.repository}/blobs/${blob.digest}`);
  expectStatus(await connection.exchange(head, [], true), 404, 'the HEAD of a new blob');
  await upload(connection, job, blob, job.form);
}

async function pullImage(
  connections: readonly Connection[],
  { port, repository }: ImagePullJob,
  { tag, manifest, blobs }: PushedImage,
  stopwatch: Stopwatch,
): Promise<void> {
  const get = async (connection: Connection, path: string, bytes: number): Promise<void> => {
    const response = await connection.exchange(requestHead(port, 'GET', path, { Accept: MANIFEST_TYPE }));
    expectStatus(response, 200, `GET ${path}`);
    if (response.bodyBytes !== bytes)
      throw new Error(`GET ${path}: ${response.bodyBytes} bytes instead of ${bytes}`);
    stopwatch.bytes += bytes;
  };
  const since = performance.now();
  const [first] = connections;
  if (first !== undefined) await get(first, `/v2/${repository}/manifests/${tag}`, manifest.sizeBytes);
  await share(connections, blobs, (connection, { digest, sizeBytes }) =>
    get(connection, `/v2/${repository}/blobs/${digest}`, sizeBytes),
  );
  stopwatch.record(since);
}

/** Processes all `items`, one at a time on each connection. */
async function share<T>(
  connections: readonly Connection[],
  items: readonly T[],
  work: (connection: Connection, item: T) => Promise<void>,
): Promise<void> {
  const waiting = items.values();
  const take = async (connection: Connection): Promise<void> => {
    for (const item of waiting) await work(connection, item);
  };
  await Promise.all(connections.map(take));
}

async function openClients(port: number, clients: number, parallel: number): Promise<Connection[][]> {
  return Promise.all(Array.from({ length: clients }, () => openConnections(port, parallel)));
}

function prepareImage(maker: ContentMaker, job: ImagePushJob, n: number): PreparedImage {
  const label = `${job.label}/image-${n}`;
  const layers = Array.from({ length: job.layers }, (_, layer) => maker.make(`${label}/layer-${layer}`));
  const diffIds = layers.map(({ digest }) => digest);
  const config = contentOf(
    Buffer.from(
      JSON.stringify({
        architecture: 'amd64',
        os: 'linux',
        comment: label,
        rootfs: { type: 'layers', diff_ids: diffIds },
      }),
    ),
  );
  const manifest = contentOf(
    Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: MANIFEST_TYPE,
        config: descriptor('application/vnd.oci.image.config.v1+json', config),
        layers: layers.map((layer) => descriptor('application/vnd.oci.image.layer.v1.tar+gzip', layer)),
      }),
    ),
  );
  return { tag: job.tag ?? label.replace(/[^\w.-]+/g, '-'), config, layers, manifest };
}

function descriptor(mediaType: string, { digest, sizeBytes }: Content): object {
  return { mediaType, digest, size: sizeBytes };
}

function describe({ tag, config, layers, manifest }: PreparedImage): PushedImage {
  const pushed = ({ digest, sizeBytes }: Content): { digest: string; sizeBytes: number } => ({
    digest,
    sizeBytes,
  });
  return { tag, manifest: pushed(manifest), blobs: [config, ...layers].map(pushed) };
}

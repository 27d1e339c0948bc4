import { createHash } from 'node:crypto';
import { OCI_MANIFEST } from '../support/registry-client.js';

const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';

/** An image of one layer, as a registry sends it. */
export interface PulledImage {
  readonly layer: { readonly digest: string; readonly size: number };
  /** The digest of the received bytes, not the one that the manifest names. */
  readonly receivedDigest: string;
  readonly diffIds: readonly string[];
}

interface Manifest {
  readonly config: { readonly digest: string };
  readonly layers: readonly [PulledImage['layer']];
}

interface Configuration {
  readonly rootfs: { readonly diff_ids: readonly string[] };
}

/** Pulls `name:v1` from a registry. */
export async function pullImage(registry: string, name: string): Promise<PulledImage> {
  const get = async (path: string) => {
    const headers = { accept: [OCI_MANIFEST, DOCKER_MANIFEST].join(', ') };
    const response = await fetch(new URL(`/v2/${name}/${path}`, registry), { headers });
    if (response.body === null || !response.ok) throw new Error(`GET ${response.url}: ${response.status}`);
    return { response, body: response.body as AsyncIterable<Uint8Array> };
  };
  const json = async (path: string): Promise<unknown> => (await get(path)).response.json();
  const manifest = (await json('manifests/v1')) as Manifest;
  const config = (await json(`blobs/${manifest.config.digest}`)) as Configuration;
  const [layer] = manifest.layers;
  const hash = createHash('sha256');
  for await (const chunk of (await get(`blobs/${layer.digest}`)).body) hash.update(chunk);
  return { layer, receivedDigest: `sha256:${hash.digest('hex')}`, diffIds: config.rootfs.diff_ids };
}

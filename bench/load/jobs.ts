/** Jobs of the generator, and their results. They are sent between processes. */
export type Job = RequestsJob | PushJob | ImagePushJob | ImagePullJob;

/** A request that is prepared before the measurement. */
export interface PlannedRequest {
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Expected status; another one fails the job. */
  readonly status: number;
  /** Expected length of the response's body. */
  readonly bodyBytes?: number;
}

/** Sends requests in turn on several connections, one at a time on each. */
export interface RequestsJob {
  readonly kind: 'requests';
  readonly port: number;
  readonly connections: number;
  readonly seconds: number;
  readonly requests: readonly PlannedRequest[];
  /** Send each request at most once: the job ends early after the last one. */
  readonly once?: boolean;
}

/**
 * `put`: POST, and a PUT with the content. `patch`: POST, one PATCH with a Content-Length, PUT. `stream`: the
 * same with `Transfer-Encoding: chunked`, as docker pushes. `chunks`: POST, a PATCH per 16 MiB, PUT. `post`:
 * one POST with digest and content.
 */
export type UploadForm = 'put' | 'patch' | 'stream' | 'chunks' | 'post';

/** Pushes new blobs, for some seconds or until there are `count`. */
export interface PushJob {
  readonly kind: 'push';
  readonly port: number;
  readonly connections: number;
  readonly repository: string;
  readonly form: UploadForm;
  readonly sizeBytes: number;
  readonly count: number;
  readonly seconds?: number;
  /** Makes the contents unique. The same label makes the same contents on each server. */
  readonly label: string;
}

/** Pushes images, one per client, all clients at once. */
export interface ImagePushJob {
  readonly kind: 'push images';
  readonly port: number;
  readonly clients: number;
  /** Concurrent uploads or downloads per client. */
  readonly parallel: number;
  readonly repository: string;
  readonly form: UploadForm;
  readonly layers: number;
  readonly layerBytes: number;
  readonly label: string;
  /** Unset: made from the label. */
  readonly tag?: string;
}

/** Pulls these images at once, one client each. */
export interface ImagePullJob {
  readonly kind: 'pull images';
  readonly port: number;
  readonly parallel: number;
  readonly repository: string;
  readonly images: readonly PushedImage[];
}

export interface PushedBlob {
  readonly digest: string;
  readonly sizeBytes: number;
}

export interface PushedImage {
  readonly tag: string;
  readonly manifest: PushedBlob;
  /** Config and layers. */
  readonly blobs: readonly PushedBlob[];
}

export interface JobResult {
  /** From the first request to the last response. */
  readonly seconds: number;
  /** Of each request, push or image. */
  readonly latenciesMs: Float32Array;
  /** Content sent or received. */
  readonly bytes: number;
  /** The generator's share of one core: at 1 it would be the bottleneck. */
  readonly generatorCpu: number;
  /** The last pushed blobs. */
  readonly blobs: readonly PushedBlob[];
  readonly images: readonly PushedImage[];
}

export type GeneratorMessage = { readonly result: JobResult } | { readonly error: string };

export const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';

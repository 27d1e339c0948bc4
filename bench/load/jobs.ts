/** What the generator is asked to do, and what it answers. All of it crosses a process boundary. */
export type Job = RequestsJob | PushJob | ImagePushJob | ImagePullJob;

/** A request that can be told before the clock runs. */
export interface PlannedRequest {
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Anything else fails the job. */
  readonly status: number;
  /** Length of the answer's body. */
  readonly bodyBytes?: number;
}

/** Requests in turn, on so many connections, one at a time on each. */
export interface RequestsJob {
  readonly kind: 'requests';
  readonly port: number;
  readonly connections: number;
  readonly seconds: number;
  readonly requests: readonly PlannedRequest[];
  /** Each request is sent once at the most: the job ends early when there are no more. */
  readonly once?: boolean;
}

/** `put`: POST, and a PUT with the content. `patch`: POST, one PATCH, PUT. `chunks`: POST, a PATCH per chunk, PUT. */
export type UploadForm = 'put' | 'patch' | 'chunks';

/** Pushes blobs that no registry has seen: for so many seconds, or until there are `count`. */
export interface PushJob {
  readonly kind: 'push';
  readonly port: number;
  readonly connections: number;
  readonly repository: string;
  readonly form: UploadForm;
  readonly sizeBytes: number;
  readonly count: number;
  readonly seconds?: number;
  /** What makes the contents unique. The same label makes the same contents, on whatever server. */
  readonly label: string;
}

/** Pushes images, one per client, all clients at once. */
export interface ImagePushJob {
  readonly kind: 'push images';
  readonly port: number;
  readonly clients: number;
  /** Uploads, or downloads, that a client has running at once. */
  readonly parallel: number;
  readonly repository: string;
  readonly layers: number;
  readonly layerBytes: number;
  readonly label: string;
  /** Else they are made of the label. */
  readonly tag?: string;
}

/** Pulls these images, all at once, each by a client of its own. */
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
  /** From the first request to the last answer. */
  readonly seconds: number;
  /** Of each request, push, or image. */
  readonly latenciesMs: Float32Array;
  /** Content sent or received. */
  readonly bytes: number;
  /** The generator's own share of one core meanwhile: at 1 it would be the bottleneck. */
  readonly generatorCpu: number;
  /** The last of what was pushed. */
  readonly blobs: readonly PushedBlob[];
  readonly images: readonly PushedImage[];
}

export type GeneratorMessage = { readonly result: JobResult } | { readonly error: string };

export const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';

import { FaultProxy, type SeenRequest } from '../../support/fault-proxy.js';
import { freshBucket, sharedRadosgw } from '../../support/radosgw.js';

export const MIB = 1024 * 1024;
export const PART_BYTES = 5 * MIB;

/** A bucket of radosgw behind a proxy that counts requests and injects faults. */
export interface ProxiedS3 {
  readonly proxy: FaultProxy;
  readonly bucket: string;
  /** Settings of a Berth that uses it through the proxy, and whose timers make no further requests. */
  readonly environment: Record<string, string>;
}

export async function startProxiedS3(): Promise<ProxiedS3> {
  const server = await sharedRadosgw();
  const proxy = await FaultProxy.start(server.endpoint);
  const bucket = await freshBucket(server);
  const environment = {
    STORAGE_DRIVER: 's3',
    STORAGE_REDIRECT: 'false',
    STORAGE_S3_ENDPOINT: proxy.endpoint,
    STORAGE_S3_BUCKET: bucket,
    STORAGE_S3_REGION: server.region,
    STORAGE_S3_ACCESS_KEY_ID: server.accessKeyId,
    STORAGE_S3_SECRET_ACCESS_KEY: server.secretAccessKey,
    STORAGE_S3_PART_SIZE_BYTES: String(PART_BYTES),
    // Otherwise timers would checkpoint uploads on a slow machine.
    UPLOAD_LEASE_SECONDS: '300',
    REQUEST_IDLE_TIMEOUT_SECONDS: '3600',
  };
  return { proxy, bucket, environment };
}

/**
 * How many requests there were of each of S3's operations. A copy counts as one, whatever it is made with.
 */
export function operationsOf(requests: readonly SeenRequest[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const operation of requests.map(operationOf)) counts[operation] = (counts[operation] ?? 0) + 1;
  return counts;
}

export function operationOf({ kind, headers }: SeenRequest): string {
  if (headers['x-amz-copy-source'] !== undefined) return 'copy';
  // An unexpected operation has its own name, so that no count matches.
  return OPERATIONS[kind] ?? kind;
}

/** By method and names of the query, as the proxy reports them. */
const OPERATIONS: Readonly<Record<string, string>> = {
  GET: 'GetObject',
  HEAD: 'HeadObject',
  PUT: 'PutObject',
  DELETE: 'DeleteObject',
  'POST delete': 'DeleteObjects',
  'POST uploads': 'CreateMultipartUpload',
  'PUT partNumber uploadId': 'UploadPart',
  'POST uploadId': 'CompleteMultipartUpload',
  'DELETE uploadId': 'AbortMultipartUpload',
  'GET max-parts uploadId': 'ListParts',
  'GET uploadId': 'ListParts',
};

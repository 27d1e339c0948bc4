import { S3Settings } from '../../src/config/s3.settings.js';
import type { S3Server } from './radosgw.js';

/** The settings of a store on a bucket of radosgw. */
export function s3Settings(server: S3Server, bucket: string, changes: Partial<S3Settings> = {}): S3Settings {
  return Object.assign(new S3Settings(), {
    storageS3Bucket: bucket,
    storageS3Endpoint: server.endpoint,
    storageS3AccessKeyId: server.accessKeyId,
    storageS3SecretAccessKey: server.secretAccessKey,
    ...changes,
  });
}

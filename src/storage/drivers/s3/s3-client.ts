import { createHash } from 'node:crypto';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import type { S3Settings } from '../../../config/s3.settings.js';
import { UnmeteredRetries } from './unmetered-retries.js';
import { isChecksumMismatch } from './s3.errors.js';
import type { S3Options } from './s3.options.js';

/**
 * Makes a client of the SDK for the bucket of the settings.
 *
 * - The SDK's checksums are used only where S3 requires one: radosgw and others respond 411 to the streamed
 *   ones, and every body has an MD5 already.
 * - No `Expect: 100-continue`: with it the SDK opens a connection for each part of more than 2 MiB. It
 *   would only save sending a part that is then refused, which is rare.
 * - Connections are not limited here but by the number of requests that Berth serves at once. Slow readers
 *   would otherwise take all of them.
 *
 * @param endpoint replaces the one of the settings, for URLs that are given to clients.
 */
export function makeS3Client(
  settings: S3Settings,
  options: S3Options,
  endpoint: string | undefined = settings.storageS3Endpoint,
): S3Client {
  // The SDK's default maximum is 50.
  const agent = { keepAlive: true, maxSockets: Infinity };
  const client = new S3Client({
    region: settings.storageS3Region,
    forcePathStyle: settings.storageS3ForcePathStyle ?? endpoint !== undefined,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...keysOf(settings),
    retryStrategy: new UnmeteredRetries(options.attempts),
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    expectContinueHeader: false,
    requestHandler: {
      connectionTimeout: options.connectMs,
      socketTimeout: options.idleMs,
      // Without this, the SDK only warns when the requestTimeout of S3Caller is over.
      throwOnRequestTimeout: true,
      httpAgent: agent,
      httpsAgent: agent,
    },
  });
  sendMd5OfDeletions(client);
  retryChecksumMismatches(client);
  return client;
}

function keysOf(settings: S3Settings): Pick<S3ClientConfig, 'credentials'> {
  const { storageS3AccessKeyId: accessKeyId, storageS3SecretAccessKey: secretAccessKey } = settings;
  if (accessKeyId === undefined || secretAccessKey === undefined) return {};
  return { credentials: { accessKeyId, secretAccessKey } };
}

/**
 * S3 requires a checksum of a DeleteObjects. The SDK sends a CRC32, but other stores only know the MD5 that
 * S3 has always accepted. The SDK's maintainers describe this middleware for them.
 */
function sendMd5OfDeletions(client: S3Client): void {
  client.middlewareStack.add(
    (next, context) => (args) => {
      const request = args.request as { body?: unknown; headers: Record<string, string> };
      if (context.commandName === 'DeleteObjectsCommand' && typeof request.body === 'string') {
        for (const name of Object.keys(request.headers)) {
          if (/^x-amz-(sdk-)?checksum-/i.test(name)) Reflect.deleteProperty(request.headers, name);
        }
        request.headers['content-md5'] = createHash('md5').update(request.body).digest('base64');
      }
      return next(args);
    },
    // After the SDK's own checksum, which is in the same step.
    { step: 'build', name: 'md5OfDeletions', priority: 'low' },
  );
}

/** The SDK does not retry a 400, but bytes that were corrupted in transit may arrive intact the next time. */
function retryChecksumMismatches(client: S3Client): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      try {
        return await next(args);
      } catch (error) {
        if (error instanceof Error && isChecksumMismatch(error)) {
          Object.assign(error, { $retryable: { throttling: false } });
        }
        throw error;
      }
    },
    // Inside the SDK's retries, which are in the same step.
    { step: 'finalizeRequest', name: 'retryChecksumMismatches', priority: 'low' },
  );
}

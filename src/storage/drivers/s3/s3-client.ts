import { createHash } from 'node:crypto';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import type { S3Settings } from '../../../config/s3.settings.js';
import { isChanged } from './s3.errors.js';
import type { S3Options } from './s3.options.js';

/**
 * A client of the SDK for the bucket of the settings.
 *
 * - Checksums of the SDK's own only where S3 requires one: radosgw and others answer 411 to the streamed ones, and every
 *   body has its MD5 already.
 * - No `Expect: 100-continue`: for that the SDK opens a connection for each part of more than 2 MiB instead of keeping
 *   them. What an expectation saves (sending a part that is refused) is rare.
 * - Connections are bounded by the requests that Berth serves at once, not here: clients that read slowly would take all of
 *   them, and everything else would fail.
 *
 * @param endpoint instead of the one of the settings: where clients are sent to.
 */
export function makeS3Client(
  settings: S3Settings,
  options: S3Options,
  endpoint: string | undefined = settings.storageS3Endpoint,
): S3Client {
  // The SDK's own bound is 50.
  const agent = { keepAlive: true, maxSockets: Infinity, maxFreeSockets: options.idleSockets };
  const client = new S3Client({
    region: settings.storageS3Region,
    forcePathStyle: settings.storageS3ForcePathStyle ?? endpoint !== undefined,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...keysOf(settings),
    maxAttempts: options.attempts,
    retryMode: 'standard',
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    expectContinueHeader: false,
    requestHandler: {
      connectionTimeout: options.connectMs,
      socketTimeout: options.silenceMs,
      // Of a request, as S3Caller gives it; without this the SDK only warns.
      throwOnRequestTimeout: true,
      httpAgent: agent,
      httpsAgent: agent,
    },
  });
  sendMd5OfDeletions(client);
  retryChangedBytes(client);
  return client;
}

function keysOf(settings: S3Settings): Pick<S3ClientConfig, 'credentials'> {
  const { storageS3AccessKeyId: accessKeyId, storageS3SecretAccessKey: secretAccessKey } = settings;
  if (accessKeyId === undefined || secretAccessKey === undefined) return {};
  return { credentials: { accessKeyId, secretAccessKey } };
}

/**
 * S3 requires a checksum of a DeleteObjects. The SDK sends a CRC32, which other stores don't know: they want the MD5
 * that S3 has taken from the beginning. This is the way that the SDK's maintainers describe for them.
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
    // After the SDK's own checksum, which is of the same step.
    { step: 'build', name: 'md5OfDeletions', priority: 'low' },
  );
}

/** The SDK tries no answer of 400 again, though bytes that were changed on the way may arrive well the next time. */
function retryChangedBytes(client: S3Client): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      try {
        return await next(args);
      } catch (error) {
        throw isChanged(error) ? Object.assign(error as Error, { $retryable: { throttling: false } }) : error;
      }
    },
    // Within the SDK's retries, which are of the same step.
    { step: 'finalizeRequest', name: 'retryChangedBytes', priority: 'low' },
  );
}

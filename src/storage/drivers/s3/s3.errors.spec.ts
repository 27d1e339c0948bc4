import { describe, expect, it } from '@jest/globals';
import {
  ObjectNotFoundError,
  StorageError,
  StorageFullError,
  StorageUnavailableError,
  UploadStateError,
} from '../../storage.errors.js';
import { isInternal, isMissing, toStorageError } from './s3.errors.js';

const ATTEMPT = { action: 'list objects', bucket: 'blobs', endpoint: 'https://s3.example' };

/** An error as the SDK makes it of a response. */
function responded(name: string, status: number, more: object = {}): Error {
  return Object.assign(new Error(`${name} it is`), { name, $metadata: { httpStatusCode: status }, ...more });
}

/** An error as Node makes it. */
function failed(code: string): Error {
  return Object.assign(new Error(`connect ${code}`), { code });
}

const kindOf = (error: unknown): string => toStorageError(error, ATTEMPT).constructor.name;

describe('toStorageError', () => {
  it.each<[string, Error]>([
    ['SlowDown', responded('SlowDown', 503)],
    ['a 429 without a code', responded('429', 429)],
    ['an internal error', responded('InternalError', 500)],
    ['an internal error within 200', responded('InternalError', 200)],
    ['a failing gateway', responded('UnknownError', 502)],
    ['a failing HEAD', responded('Unknown', 503)],
    ['a timeout of S3', responded('RequestTimeout', 400)],
    ['a timeout of the SDK', Object.assign(new Error('no response'), { name: 'TimeoutError' })],
    ['a checksum mismatch', responded('BadDigest', 400)],
    ['a mismatch of the signed checksum', responded('XAmzContentSHA256Mismatch', 400)],
    ['a refused connection', failed('ECONNREFUSED')],
    ['a reset', failed('ECONNRESET')],
    ['a closed pipe', failed('EPIPE')],
    ['a failing name server', failed('EAI_AGAIN')],
    ['an unknown host', failed('ENOTFOUND')],
    ['a network that is down', failed('ENETUNREACH')],
    ['too many open files', failed('EMFILE')],
    ['too many open files on this machine', failed('ENFILE')],
  ])('reports temporary failures as unavailable: %s', (_, error) => {
    expect(kindOf(error)).toBe(StorageUnavailableError.name);
  });

  it.each(['NoSuchUpload', 'InvalidPart', 'InvalidPartOrder', 'EntityTooSmall'])(
    'reports that the upload has changed: %s',
    (code) => {
      expect(kindOf(responded(code, 400))).toBe(UploadStateError.name);
      // The SDK turns an error in the body of a 200 into a 503.
      expect(kindOf(responded(code, 503))).toBe(UploadStateError.name);
    },
  );

  it.each([responded('QuotaExceeded', 403), responded('XMinioStorageFull', 507), responded('Unknown', 507)])(
    'reports a full store: %s',
    (error) => {
      expect(kindOf(error)).toBe(StorageFullError.name);
    },
  );

  it.each<[Error, RegExp]>([
    [responded('NoSuchBucket', 404), /no bucket blobs at https:\/\/s3\.example.*STORAGE_S3_BUCKET/],
    [responded('InvalidBucketName', 400), /STORAGE_S3_BUCKET/],
    [
      responded('AccessDenied', 403),
      /denied.*STORAGE_S3_ACCESS_KEY_ID.*s3:AbortMultipartUpload and s3:ListMultipartUploadParts/,
    ],
    [responded('Unknown', 403), /denied/],
    [responded('403', 403), /denied/],
    [responded('InvalidAccessKeyId', 403), /STORAGE_S3_ACCESS_KEY_ID/],
    [responded('SignatureDoesNotMatch', 403), /STORAGE_S3_SECRET_ACCESS_KEY/],
    [responded('RequestTimeTooSkewed', 403), /synchronize them/],
    [responded('ExpiredToken', 400), /expired: renew/],
    [responded('ExpiredTokenException', 400), /expired: renew/],
    [responded('InvalidToken', 400), /expired: renew/],
    [responded('PermanentRedirect', 301), /STORAGE_S3_REGION/],
    [responded('301', 301), /STORAGE_S3_REGION/],
    [responded('AuthorizationHeaderMalformed', 400), /STORAGE_S3_REGION/],
    [responded('InvalidStorageClass', 400), /STORAGE_S3_STORAGE_CLASS/],
    [responded('KMS.DisabledException', 400), /STORAGE_S3_SSE_KMS_KEY_ID/],
    [
      Object.assign(new Error('none'), { name: 'CredentialsProviderError' }),
      /no credentials: set STORAGE_S3_/,
    ],
    [failed('DEPTH_ZERO_SELF_SIGNED_CERT'), /not trusted.*NODE_EXTRA_CA_CERTS/],
    [failed('CERT_HAS_EXPIRED'), /not trusted/],
    [failed('EPROTO'), /STORAGE_S3_ENDPOINT \(http or https\)/],
  ])('says what to do, and is not retryable: %s', (error, sentence) => {
    const translated = toStorageError(error, ATTEMPT);
    expect(translated.constructor.name).toBe(StorageError.name);
    expect(translated.message).toMatch(sentence);
    expect(translated.message).toMatch(/^could not list objects: /);
  });

  it.each<[Error, RegExp]>([
    [failed('ECONNREFUSED'), /nothing listens at https:\/\/s3\.example.*STORAGE_S3_ENDPOINT/],
    [failed('ENOTFOUND'), /can't be resolved.*STORAGE_S3_FORCE_PATH_STYLE=true/],
    [failed('ECONNRESET'), /failed \(ECONNRESET\)/],
    [responded('SlowDown', 503), /throttles requests \(SlowDown\)/],
    [responded('Unknown', 500), /responded 500/],
    [responded('BadDigest', 400), /https:\/\/s3\.example received other bytes than were sent \(BadDigest\)/],
    [responded('Odd', 400), /responded Odd: Odd it is/],
  ])('quotes the response: %s', (error, sentence) => {
    expect(toStorageError(error, ATTEMPT).message).toMatch(sentence);
  });

  it.each([responded('NotImplemented', 501), responded('Unknown', 501), responded('501', 501)])(
    'does not retry what the store does not implement: %s',
    (error) => expect(kindOf(error)).toBe(StorageError.name),
  );

  it('retries missing credentials that worked before', () => {
    const error = Object.assign(new Error('none'), { name: 'CredentialsProviderError' });
    const translated = toStorageError(error, { ...ATTEMPT, hasSucceeded: true });
    expect(translated).toBeInstanceOf(StorageUnavailableError);
    expect(translated.message).toMatch(/the source of the credentials returned none/);
  });

  it('quotes the response in one short line', () => {
    const error = responded('Unknown', 502);
    error.message = `<html>\n${'Bad Gateway '.repeat(1000)}</html>`;
    const { message, cause } = toStorageError(error, ATTEMPT);
    for (const said of [message, (cause as Error).message]) {
      expect(said).toContain('<html> Bad Gateway');
      expect(said).not.toContain('\n');
      expect(said.length).toBeLessThan(500);
    }
  });

  it('keeps the cause, without the request in it', () => {
    const error = responded('SignatureDoesNotMatch', 403, {
      AWSAccessKeyId: 'AKIAEXAMPLE',
      StringToSign: 'AWS4-HMAC-SHA256 …',
      SignatureProvided: 'abcdef',
      $response: { headers: { authorization: 'AKIAEXAMPLE' } },
    });
    const { cause } = toStorageError(error, ATTEMPT);
    expect(cause).toMatchObject({ name: 'SignatureDoesNotMatch', status: 403 });
    expect(Object.keys(cause as object)).toEqual(['name', 'status', 'requestId', 'attempts']);
    const reset = failed('ECONNRESET');
    expect(toStorageError(reset, ATTEMPT).cause).toBe(reset);
  });

  it('returns a StorageError unchanged, and translates any thrown value', () => {
    const own = new ObjectNotFoundError('x');
    expect(toStorageError(own, ATTEMPT)).toBe(own);
    for (const thrown of ['text', null, undefined, 7]) expect(kindOf(thrown)).toBe(StorageError.name);
  });
});

describe('isMissing', () => {
  it('recognizes a missing object, with and without a body', () => {
    expect(isMissing(responded('NoSuchKey', 404))).toBe(true);
    expect(isMissing(responded('NotFound', 404))).toBe(true);
    expect(isMissing(responded('Unknown', 404))).toBe(true);
  });

  it('is false for other errors', () => {
    for (const error of [
      responded('NoSuchBucket', 404),
      responded('NoSuchUpload', 404),
      failed('ENOTFOUND'),
    ]) {
      expect(isMissing(error)).toBe(false);
    }
  });
});

describe('isInternal', () => {
  it('is true for a 500 of the store only', () => {
    expect(isInternal(toStorageError(responded('InternalError', 500), ATTEMPT))).toBe(true);
    expect(isInternal(toStorageError(responded('SlowDown', 503), ATTEMPT))).toBe(false);
    expect(isInternal(new StorageUnavailableError('timeout'))).toBe(false);
  });
});

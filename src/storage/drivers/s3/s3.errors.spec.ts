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

/** As the SDK makes them of answers. */
function answered(name: string, status: number, more: object = {}): Error {
  return Object.assign(new Error(`${name} it is`), { name, $metadata: { httpStatusCode: status }, ...more });
}

/** As Node makes them. */
function failed(code: string): Error {
  return Object.assign(new Error(`connect ${code}`), { code });
}

const kindOf = (error: unknown): string => toStorageError(error, ATTEMPT).constructor.name;

describe('toStorageError', () => {
  it.each<[string, Error]>([
    ['SlowDown', answered('SlowDown', 503)],
    ['a 429 without a code', answered('429', 429)],
    ['an internal error', answered('InternalError', 500)],
    ['an internal error within 200', answered('InternalError', 200)],
    ['a gateway that fails', answered('UnknownError', 502)],
    ['a HEAD that fails', answered('Unknown', 503)],
    ['a time-out of S3', answered('RequestTimeout', 400)],
    ['a time-out of the SDK', Object.assign(new Error('silence'), { name: 'TimeoutError' })],
    ['bytes that changed on the way', answered('BadDigest', 400)],
    ['signed bytes that changed on the way', answered('XAmzContentSHA256Mismatch', 400)],
    ['a refused connection', failed('ECONNREFUSED')],
    ['a reset', failed('ECONNRESET')],
    ['a closed pipe', failed('EPIPE')],
    ['a name server that fails', failed('EAI_AGAIN')],
    ['a name that nobody has', failed('ENOTFOUND')],
    ['a network that is down', failed('ENETUNREACH')],
    ['too many open files', failed('EMFILE')],
    ['too many open files on this machine', failed('ENFILE')],
  ])('calls unavailable what may pass: %s', (_, error) => {
    expect(kindOf(error)).toBe(StorageUnavailableError.name);
  });

  it.each(['NoSuchUpload', 'InvalidPart', 'InvalidPartOrder', 'EntityTooSmall'])(
    'says that an upload is not as it was thought: %s',
    (code) => {
      expect(kindOf(answered(code, 400))).toBe(UploadStateError.name);
      // In the body of a 200 the SDK takes it for a 503.
      expect(kindOf(answered(code, 503))).toBe(UploadStateError.name);
    },
  );

  it.each([answered('QuotaExceeded', 403), answered('XMinioStorageFull', 507), answered('Unknown', 507)])(
    'says that the store is full: %s',
    (error) => {
      expect(kindOf(error)).toBe(StorageFullError.name);
    },
  );

  it.each<[Error, RegExp]>([
    [answered('NoSuchBucket', 404), /no bucket blobs at https:\/\/s3\.example.*STORAGE_S3_BUCKET/],
    [answered('InvalidBucketName', 400), /STORAGE_S3_BUCKET/],
    [
      answered('AccessDenied', 403),
      /denied.*STORAGE_S3_ACCESS_KEY_ID.*s3:AbortMultipartUpload and s3:ListMultipartUploadParts/,
    ],
    [answered('Unknown', 403), /denied/],
    [answered('403', 403), /denied/],
    [answered('InvalidAccessKeyId', 403), /STORAGE_S3_ACCESS_KEY_ID/],
    [answered('SignatureDoesNotMatch', 403), /STORAGE_S3_SECRET_ACCESS_KEY/],
    [answered('RequestTimeTooSkewed', 403), /set the clock/],
    [answered('ExpiredToken', 400), /expired: renew/],
    [answered('ExpiredTokenException', 400), /expired: renew/],
    [answered('InvalidToken', 400), /expired: renew/],
    [answered('PermanentRedirect', 301), /STORAGE_S3_REGION/],
    [answered('301', 301), /STORAGE_S3_REGION/],
    [answered('AuthorizationHeaderMalformed', 400), /STORAGE_S3_REGION/],
    [answered('InvalidStorageClass', 400), /STORAGE_S3_STORAGE_CLASS/],
    [answered('KMS.DisabledException', 400), /STORAGE_S3_SSE_KMS_KEY_ID/],
    [
      Object.assign(new Error('none'), { name: 'CredentialsProviderError' }),
      /no credentials: set STORAGE_S3_/,
    ],
    [failed('DEPTH_ZERO_SELF_SIGNED_CERT'), /trusted TLS.*NODE_EXTRA_CA_CERTS/],
    [failed('CERT_HAS_EXPIRED'), /trusted TLS/],
    [failed('EPROTO'), /STORAGE_S3_ENDPOINT \(http or https\)/],
  ])('says what to do, and that waiting does not help: %s', (error, sentence) => {
    const translated = toStorageError(error, ATTEMPT);
    expect(translated.constructor.name).toBe(StorageError.name);
    expect(translated.message).toMatch(sentence);
    expect(translated.message).toMatch(/^could not list objects: /);
  });

  it.each<[Error, RegExp]>([
    [failed('ECONNREFUSED'), /nothing listens at https:\/\/s3\.example.*STORAGE_S3_ENDPOINT/],
    [failed('ENOTFOUND'), /can't be resolved.*STORAGE_S3_FORCE_PATH_STYLE=true/],
    [failed('ECONNRESET'), /failed \(ECONNRESET\)/],
    [answered('SlowDown', 503), /asks for fewer requests \(SlowDown\)/],
    [answered('Unknown', 500), /answered 500/],
    [answered('BadDigest', 400), /bytes changed on the way to https:\/\/s3\.example \(BadDigest\)/],
    [answered('Odd', 400), /answered Odd: Odd it is/],
  ])('says what was answered: %s', (error, sentence) => {
    expect(toStorageError(error, ATTEMPT).message).toMatch(sentence);
  });

  it.each([answered('NotImplemented', 501), answered('Unknown', 501), answered('501', 501)])(
    'does not wait for a store to learn what it can not do: %s',
    (error) => expect(kindOf(error)).toBe(StorageError.name),
  );

  it('waits for credentials that it had before', () => {
    const error = Object.assign(new Error('none'), { name: 'CredentialsProviderError' });
    const translated = toStorageError(error, { ...ATTEMPT, wasLetIn: true });
    expect(translated).toBeInstanceOf(StorageUnavailableError);
    expect(translated.message).toMatch(/the source of the credentials gives none/);
  });

  it('says what was answered in a line that is not too long', () => {
    const error = answered('Unknown', 502);
    error.message = `<html>\n${'Bad Gateway '.repeat(1000)}</html>`;
    const { message, cause } = toStorageError(error, ATTEMPT);
    for (const said of [message, (cause as Error).message]) {
      expect(said).toContain('<html> Bad Gateway');
      expect(said).not.toContain('\n');
      expect(said.length).toBeLessThan(500);
    }
  });

  it('keeps the cause, without what S3 repeats of the request', () => {
    const error = answered('SignatureDoesNotMatch', 403, {
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

  it('leaves its own alone, and takes whatever is thrown', () => {
    const own = new ObjectNotFoundError('x');
    expect(toStorageError(own, ATTEMPT)).toBe(own);
    for (const thrown of ['text', null, undefined, 7]) expect(kindOf(thrown)).toBe(StorageError.name);
  });
});

describe('isMissing', () => {
  it('knows a missing object, with a body or without', () => {
    expect(isMissing(answered('NoSuchKey', 404))).toBe(true);
    expect(isMissing(answered('NotFound', 404))).toBe(true);
    expect(isMissing(answered('Unknown', 404))).toBe(true);
  });

  it('takes nothing else for one', () => {
    for (const error of [answered('NoSuchBucket', 404), answered('NoSuchUpload', 404), failed('ENOTFOUND')]) {
      expect(isMissing(error)).toBe(false);
    }
  });
});

describe('isInternal', () => {
  it('is what the store says of itself alone', () => {
    expect(isInternal(toStorageError(answered('InternalError', 500), ATTEMPT))).toBe(true);
    expect(isInternal(toStorageError(answered('SlowDown', 503), ATTEMPT))).toBe(false);
    expect(isInternal(new StorageUnavailableError('too late'))).toBe(false);
  });
});

import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { TimeoutError } from '../../object-store/timeout.js';
import { ObjectNotFoundError, StorageUnavailableError } from '../../storage.errors.js';
import { toStorageError } from './azure.errors.js';
import type { AzurePlace } from './azure-place.js';

const SECRET = 'c2VzYW1lc2VzYW1l';
const PLACE: AzurePlace = {
  endpoint: 'https://berth.blob.core.windows.net',
  container: 'layers',
  access: 'default credential',
};

function error(name: string, properties: object = {}): Error {
  return Object.assign(new Error('a message of the SDK'), { name, ...properties });
}

describe('toStorageError', () => {
  it.each([
    ['a reset', error('RestError', { code: 'ECONNRESET' })],
    ['a request that was not sent', error('RestError', { code: 'REQUEST_SEND_ERROR' })],
    ['a truncated response', error('RestError', { code: 'PARSE_ERROR' })],
    ['an unresolved host', error('RestError', { code: 'ENOTFOUND' })],
    ['too many open files', error('RestError', { code: 'EMFILE' })],
    ["another caller's abort", error('AbortError')],
    ['a checksum mismatch', error('RestError', { statusCode: 400, code: 'Md5Mismatch' })],
    ['a timeout', new TimeoutError(1000)],
    ['an unavailable authority', error('AuthenticationError', { statusCode: 503 })],
  ])('is retryable: %s', (_, cause) => {
    const failure = toStorageError(cause, 'list blobs', PLACE);
    expect(failure).toBeInstanceOf(StorageUnavailableError);
    expect(failure.cause).toMatchObject({ name: cause.name });
  });

  it.each([
    ['CredentialUnavailableError', {}],
    ['AuthenticationError', { statusCode: 401 }],
    ['AggregateAuthenticationError', {}],
  ])('says that the identity is missing: %s', (name, properties) => {
    const failure = toStorageError(error(name, properties), 'list blobs', PLACE);
    expect(failure).not.toBeInstanceOf(StorageUnavailableError);
    expect(failure.message).toMatch(/no token for https:.*STORAGE_AZURE_ACCOUNT_KEY/);
  });

  it.each(['CredentialUnavailableError', 'AggregateAuthenticationError'])(
    'is retryable if an identity worked before: %s',
    (name) => {
      const failure = toStorageError(error(name), 'list blobs', PLACE, true);
      expect(failure).toBeInstanceOf(StorageUnavailableError);
      expect(failure.message).toMatch(/no token for https:.*failed, but worked before/);
    },
  );

  it('does not retry a refused identity', () => {
    const failure = toStorageError(
      error('AuthenticationError', { statusCode: 401 }),
      'list blobs',
      PLACE,
      true,
    );
    expect(failure).not.toBeInstanceOf(StorageUnavailableError);
  });

  it('quotes the response in one short line', () => {
    const page = Object.assign(error('RestError', { statusCode: 502, code: 'x'.repeat(10_000) }), {
      message: 'Bad Gateway '.repeat(1000),
    });
    const failure = toStorageError(page, 'list blobs', PLACE);
    expect(failure.message.length).toBeLessThan(500);
    expect((failure.cause as Error).message.length).toBeLessThan(500);
    const reset = Object.assign(error('RestError'), { message: 'Bad Gateway\t'.repeat(1000) });
    expect(toStorageError(reset, 'list blobs', PLACE).message).toMatch(
      /^could not list blobs: Bad Gateway Bad.{280,300}$/,
    );
  });

  it.each(['DEPTH_ZERO_SELF_SIGNED_CERT', 'CERT_HAS_EXPIRED', 'ERR_TLS_CERT_ALTNAME_INVALID', 'EPROTO'])(
    'says that the certificate is not trusted: %s',
    (code) => {
      const failure = toStorageError(error('RestError', { code }), 'list blobs', PLACE);
      expect(failure).not.toBeInstanceOf(StorageUnavailableError);
      expect(failure.message).toMatch(/is not trusted.*STORAGE_AZURE_ENDPOINT/);
    },
  );

  it('does not retry an unknown error', () => {
    expect(toStorageError(new TypeError('a mistake'), 'list blobs', PLACE)).not.toBeInstanceOf(
      StorageUnavailableError,
    );
    expect(toStorageError('thrown', 'list blobs', PLACE).message).toBe('could not list blobs: ');
  });

  it('returns an error of the driver unchanged', () => {
    const missing = new ObjectNotFoundError('x');
    expect(toStorageError(missing, 'list blobs', PLACE)).toBe(missing);
  });

  it.each([
    ['a refused request', { statusCode: 403, code: 'AuthenticationFailed' }],
    ['a response that could not be parsed', { statusCode: 502, code: 'PARSE_ERROR' }],
    ['no response', { code: 'ECONNRESET' }],
  ])('drops request and response from its cause: %s', (_, properties) => {
    const quoted = `<html>${SECRET}</html>`;
    const sent = {
      url: `https://berth.blob.core.windows.net/layers?sig=${SECRET}`,
      body: Buffer.from(SECRET),
    };
    const made = error('RestError', {
      ...properties,
      request: sent,
      response: { headers: new Map([['x-ms-request-id', 'id1']]), bodyAsText: quoted, request: sent },
      details: { authenticationErrorDetail: SECRET },
    });
    made.message = `a message of the SDK\n${quoted}`;
    if (properties.code === 'PARSE_ERROR') made.message = `Error while parsing the body - ${quoted}`;
    const failure = toStorageError(made, 'list blobs', PLACE);
    expect(failure.cause).toMatchObject({ code: properties.code, requestId: 'id1' });
    expect(inspect(failure, { depth: 10, showHidden: true })).not.toContain(SECRET);
  });
});

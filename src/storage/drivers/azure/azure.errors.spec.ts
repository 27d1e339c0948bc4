import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { TimeLimitError } from '../../object-store/time-limit.js';
import { ObjectNotFoundError, StorageUnavailableError } from '../../storage.errors.js';
import { failureOf } from './azure.errors.js';
import type { AzurePlace } from './azure-place.js';

const SECRET = 'c2VzYW1lc2VzYW1l';
const PLACE: AzurePlace = {
  endpoint: 'https://berth.blob.core.windows.net',
  container: 'layers',
  access: 'default credential',
};

function error(name: string, properties: object = {}): Error {
  return Object.assign(new Error('in the words of the SDK'), { name, ...properties });
}

describe('failureOf', () => {
  it.each([
    ['a reset', error('RestError', { code: 'ECONNRESET' })],
    ['a request that was not sent', error('RestError', { code: 'REQUEST_SEND_ERROR' })],
    ['an answer that was cut off', error('RestError', { code: 'PARSE_ERROR' })],
    ['no address', error('RestError', { code: 'ENOTFOUND' })],
    ['too many open files', error('RestError', { code: 'EMFILE' })],
    ["another caller's abort", error('AbortError')],
    ['bytes that changed on the way', error('RestError', { statusCode: 400, code: 'Md5Mismatch' })],
    ['a limit of time', new TimeLimitError(1000)],
    ['an authority that is busy', error('AuthenticationError', { statusCode: 503 })],
  ])('may pass: %s', (_, cause) => {
    const failure = failureOf(cause, 'answer', PLACE);
    expect(failure).toBeInstanceOf(StorageUnavailableError);
    expect(failure.cause).toMatchObject({ name: cause.name });
  });

  it.each([
    ['CredentialUnavailableError', {}],
    ['AuthenticationError', { statusCode: 401 }],
    ['AggregateAuthenticationError', {}],
  ])('says that there is no identity: %s', (name, properties) => {
    const failure = failureOf(error(name, properties), 'answer', PLACE);
    expect(failure).not.toBeInstanceOf(StorageUnavailableError);
    expect(failure.message).toMatch(/no token for https:.*STORAGE_AZURE_ACCOUNT_KEY/);
  });

  it.each(['CredentialUnavailableError', 'AggregateAuthenticationError'])(
    'waits for an identity that it had before: %s',
    (name) => {
      const failure = failureOf(error(name), 'answer', PLACE, true);
      expect(failure).toBeInstanceOf(StorageUnavailableError);
      expect(failure.message).toMatch(/no token for https:.*which gave one before/);
    },
  );

  it('does not wait for an identity that was refused', () => {
    const failure = failureOf(error('AuthenticationError', { statusCode: 401 }), 'answer', PLACE, true);
    expect(failure).not.toBeInstanceOf(StorageUnavailableError);
  });

  it('says what was answered in a line that is not too long', () => {
    const page = Object.assign(error('RestError', { statusCode: 502, code: 'x'.repeat(10_000) }), {
      message: 'Bad Gateway '.repeat(1000),
    });
    const failure = failureOf(page, 'answer', PLACE);
    expect(failure.message.length).toBeLessThan(500);
    expect((failure.cause as Error).message.length).toBeLessThan(500);
    const reset = Object.assign(error('RestError'), { message: 'Bad Gateway\t'.repeat(1000) });
    expect(failureOf(reset, 'answer', PLACE).message).toMatch(
      /^Azure could not answer: Bad Gateway Bad.{280,300}$/,
    );
  });

  it.each(['DEPTH_ZERO_SELF_SIGNED_CERT', 'CERT_HAS_EXPIRED', 'ERR_TLS_CERT_ALTNAME_INVALID', 'EPROTO'])(
    'says that the server is not to be trusted: %s',
    (code) => {
      const failure = failureOf(error('RestError', { code }), 'answer', PLACE);
      expect(failure).not.toBeInstanceOf(StorageUnavailableError);
      expect(failure.message).toMatch(/could not be trusted.*STORAGE_AZURE_ENDPOINT/);
    },
  );

  it('does not repeat what is nobody knows what', () => {
    expect(failureOf(new TypeError('a mistake'), 'answer', PLACE)).not.toBeInstanceOf(
      StorageUnavailableError,
    );
    expect(failureOf('thrown', 'answer', PLACE).message).toBe('Azure could not answer: ');
  });

  it('leaves an error of the driver as it is', () => {
    const missing = new ObjectNotFoundError('x');
    expect(failureOf(missing, 'answer', PLACE)).toBe(missing);
  });

  it.each([
    ['an answer that was refused', { statusCode: 403, code: 'AuthenticationFailed' }],
    ['an answer that could not be read', { statusCode: 502, code: 'PARSE_ERROR' }],
    ['no answer', { code: 'ECONNRESET' }],
  ])('keeps nothing of the exchange in its cause: %s', (_, properties) => {
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
    made.message = `in the words of the SDK\n${quoted}`;
    if (properties.code === 'PARSE_ERROR') made.message = `Error while parsing the body - ${quoted}`;
    const failure = failureOf(made, 'answer', PLACE);
    expect(failure.cause).toMatchObject({ code: properties.code, requestId: 'id1' });
    expect(inspect(failure, { depth: 10, showHidden: true })).not.toContain(SECRET);
  });
});

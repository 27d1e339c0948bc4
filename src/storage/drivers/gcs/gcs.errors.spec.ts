import { describe, expect, it } from '@jest/globals';
import { StorageError, StorageUnavailableError } from '../../storage.errors.js';
import {
  GcsRequestError,
  isConditionNotMet,
  isMissingObject,
  requestErrorOf,
  toStorageError,
} from './gcs.errors.js';

const PLACE = { bucket: 'blobs', endpoint: 'https://storage.googleapis.com', keyFile: '/etc/key.json' };

function mapped(error: unknown): StorageError {
  return toStorageError(error, 'list objects', PLACE);
}

describe('errors of Google Cloud Storage', () => {
  it.each([408, 429, 500, 502, 503, 504])('is retryable: %d', (status) => {
    expect(mapped({ code: status, message: 'x' })).toBeInstanceOf(StorageUnavailableError);
    expect(mapped({ response: { status }, message: 'x' })).toBeInstanceOf(StorageUnavailableError);
  });

  it.each(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN', 'ENOTFOUND', 'EMFILE', 'ENFILE'])(
    'is retryable: %s',
    (code) => {
      expect(mapped({ code, message: 'x' })).toBeInstanceOf(StorageUnavailableError);
    },
  );

  it.each(['request-timeout', 'body-timeout'])("is retryable: node-fetch's %s", (type) => {
    expect(mapped({ type, message: 'x' })).toBeInstanceOf(StorageUnavailableError);
  });

  it.each([
    [400, 'Invalid argument.'],
    [401, 'Invalid Credentials'],
    [403, 'no access'],
    [404, 'The specified bucket does not exist.'],
    [412, 'conditionNotMet'],
    [416, 'range'],
    [501, 'Not implemented.'],
  ])('is not retryable: %d', (code, message) => {
    expect(mapped({ code, message })).not.toBeInstanceOf(StorageUnavailableError);
  });

  it.each([
    [
      "a wrong clock, found by Google's token endpoint",
      {
        code: '400',
        message:
          'invalid_grant: Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.',
      },
      /clock is wrong.*NTP/,
    ],
    [
      'a deleted key',
      { code: '400', message: 'invalid_grant: Invalid JWT Signature.' },
      /\/etc\/key\.json is refused/,
    ],
    [
      'no credentials at all',
      { message: 'Could not load the default credentials. Browse to …' },
      /STORAGE_GCS_KEY_FILE/,
    ],
    [
      'a certificate',
      { code: 'CERT_HAS_EXPIRED', message: 'certificate has expired' },
      /CERT_HAS_EXPIRED.*STORAGE_GCS_ENDPOINT/,
    ],
    ['an unknown status', { code: 418, message: 'x' }, /responded 418/],
  ])('says what to do: %s', (_, error, sentence) => {
    expect(mapped(error).message).toMatch(sentence);
  });

  it('drops the request from an error', () => {
    const config = { headers: { authorization: 'Bearer secret' } };
    const error = requestErrorOf({ message: 'x', code: 503, config, response: { status: 503, config } });
    expect(Object.keys(error).sort()).toEqual(['code', 'name', 'reason', 'status']);
    expect(error.status).toBe(503);
  });

  it('distinguishes a missing object from a missing bucket, also in a wrapped error', () => {
    const missing = new GcsRequestError('No such object: blobs/x', 404, undefined);
    expect(isMissingObject(missing)).toBe(true);
    expect(isMissingObject(mapped(missing))).toBe(true);
    expect(isMissingObject(new GcsRequestError('The specified bucket does not exist.', 404, undefined))).toBe(
      false,
    );
  });

  it.each<[boolean, object]>([
    [true, { code: 412, message: 'x', errors: [{ reason: 'conditionNotMet' }] }],
    [false, { code: 412, message: 'x', errors: [{ reason: 'orgPolicyConstraintFailed' }] }],
    [false, { code: 412, message: 'x' }],
    [false, { code: 404, message: 'No such object', errors: [{ reason: 'notFound' }] }],
  ])('recognizes a condition that was not met (%s): %j', (is, error) => {
    expect(isConditionNotMet(mapped(error))).toBe(is);
    expect(isConditionNotMet(requestErrorOf(error))).toBe(is);
  });

  it('retries a checksum mismatch', () => {
    const message = `Provided MD5 hash "a" doesn't match calculated MD5 hash "b".`;
    const error = mapped({ code: 400, message });
    expect(error).toBeInstanceOf(StorageUnavailableError);
    expect(error.message).toMatch(/received other bytes/);
  });

  it('quotes one short line of a response', () => {
    const { message } = requestErrorOf({ code: 502, message: `<html>\n${'Bad Gateway '.repeat(1000)}` });
    expect(message).toMatch(/^<html> Bad Gateway/);
    expect(message.length).toBeLessThan(400);
  });
});

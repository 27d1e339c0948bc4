import { createHash, createVerify } from 'node:crypto';
import { GcsHttpError } from './gcs-http-error.js';
import type { ServiceAccount } from './service-account.js';

/** https://cloud.google.com/storage/docs/authentication/signatures#expiration */
const MAX_SECONDS = 7 * 24 * 60 * 60;
/** Tolerance for a signer whose clock is fast. */
const SKEW_SECONDS = 900;

export interface SignedRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: NodeJS.Dict<string | string[]>;
}

/**
 * Verifies a V4 signature: https://cloud.google.com/storage/docs/authentication/signatures, over the
 * canonical request of
 * https://cloud.google.com/storage/docs/authentication/canonical-requests
 *
 * @throws GcsHttpError if it is invalid.
 */
export function verifySignedUrl(request: SignedRequest, account: ServiceAccount): void {
  const { searchParams: query } = request.url;
  const [algorithm, credential, date, expires, signedHeaders, signature] = [
    'X-Goog-Algorithm',
    'X-Goog-Credential',
    'X-Goog-Date',
    'X-Goog-Expires',
    'X-Goog-SignedHeaders',
    'X-Goog-Signature',
  ].map((name) => query.get(name) ?? '') as [string, string, string, string, string, string];
  const scope = `${date.slice(0, 8)}/auto/storage/goog4_request`;
  if (algorithm !== 'GOOG4-RSA-SHA256' || credential !== `${account.email}/${scope}`) throw denied();
  checkTime(date, Number(expires));
  const names = signedHeaders.split(';');
  if (!names.includes('host')) throw denied();
  const canonical = createHash('sha256').update(canonicalRequest(request, names)).digest('hex');
  const verify = createVerify('RSA-SHA256').update([algorithm, date, scope, canonical].join('\n'));
  if (!verify.verify(account.publicKey, Buffer.from(signature, 'hex'))) {
    throw new GcsHttpError(
      403,
      'SignatureDoesNotMatch',
      'The request signature we calculated does not match the signature you provided.',
    );
  }
}

function canonicalRequest({ method, url, headers }: SignedRequest, names: readonly string[]): string {
  const query = [...url.searchParams]
    .filter(([name]) => name !== 'X-Goog-Signature')
    .map(([name, value]) => `${encoded(name)}=${encoded(value)}`)
    .sort()
    .join('&');
  const canonicalHeaders = names.map((name) => {
    const value = String(headers[name] ?? '').trim();
    // Google's hosts have no port, and the SDK does not sign one.
    return `${name}:${name === 'host' ? value.replace(/:\d+$/, '') : value}\n`;
  });
  return [method, url.pathname, query, canonicalHeaders.join(''), names.join(';'), 'UNSIGNED-PAYLOAD'].join(
    '\n',
  );
}

function checkTime(date: string, seconds: number): void {
  const iso = date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z');
  const ageSeconds = (Date.now() - Date.parse(iso)) / 1000;
  if (!(seconds >= 1 && seconds <= MAX_SECONDS) || !(ageSeconds > -SKEW_SECONDS)) throw denied();
  if (ageSeconds > seconds) {
    throw new GcsHttpError(400, 'ExpiredToken', 'The provided token has expired.');
  }
}

function encoded(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function denied(): GcsHttpError {
  return new GcsHttpError(403, 'AccessDenied', 'Access denied.');
}

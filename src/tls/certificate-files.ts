import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { StartupError } from '../common/startup.error.js';
import type { Configuration } from '../config/configuration.js';
import { endOf, type KeyPair } from './key-pair.js';
import { secureContextOptions } from './secure-context.js';

type Files = Pick<Configuration, 'tlsCertFile' | 'tlsKeyFile'>;

/**
 * Reads the certificate and the key of `TLS=files`, and checks that a server can use them.
 *
 * @throws StartupError names the setting, the file, and what is wrong.
 */
export async function readKeyPair({ tlsCertFile = '', tlsKeyFile = '' }: Files): Promise<KeyPair> {
  const [cert, key] = await Promise.all([
    read('TLS_CERT_FILE', tlsCertFile),
    read('TLS_KEY_FILE', tlsKeyFile),
  ]);
  const certificate = attempt(
    () => new X509Certificate(cert),
    `TLS_CERT_FILE (${tlsCertFile}) has no certificate: expected PEM, the server's certificate first`,
  );
  const privateKey = attempt(
    () => createPrivateKey(key),
    `TLS_KEY_FILE (${tlsKeyFile}) has no private key: expected PEM, without a passphrase`,
  );
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new StartupError(
      `TLS_KEY_FILE (${tlsKeyFile}) is not the key of the first certificate in TLS_CERT_FILE ` +
        `(${tlsCertFile}): set both to files of one pair`,
    );
  }
  attempt(
    () => createSecureContext(secureContextOptions({ cert, key })),
    `TLS_CERT_FILE (${tlsCertFile}) can't be used by a server`,
  );
  return { cert, key };
}

/**
 * Checks the files of `TLS=files`, if it is on. Returns a warning if the certificate is not valid now.
 *
 * @throws StartupError
 */
export async function checkCertificateFiles(
  configuration: Files & Pick<Configuration, 'tlsMode'>,
): Promise<string | undefined> {
  if (configuration.tlsMode !== 'files') return undefined;
  const invalidity = describeInvalidity(await readKeyPair(configuration), new Date());
  return invalidity === undefined
    ? undefined
    : `TLS_CERT_FILE (${configuration.tlsCertFile}): ${invalidity}.`;
}

/** Says what is wrong with the dates of a certificate; undefined if it is valid now. */
export function describeInvalidity(pair: KeyPair, now: Date): string | undefined {
  const begin = new Date(new X509Certificate(pair.cert).validFrom);
  const end = endOf(pair);
  if (now > end) return `the certificate has expired on ${end.toISOString()}: clients refuse it`;
  if (now < begin) return `the certificate is valid from ${begin.toISOString()} on: clients refuse it now`;
  return undefined;
}

async function read(setting: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
    throw new StartupError(
      `${setting} (${path}) can't be read (${code}): set it to a file that this user may read`,
      { cause },
    );
  }
}

/** The reason of OpenSSL is left out: it says nothing that an operator could act on, except for weak keys. */
function attempt<T>(work: () => T, message: string): T {
  try {
    return work();
  } catch (cause) {
    const { reason } = Object(cause) as { reason?: unknown };
    const why = typeof reason === 'string' && /too small|too weak/.test(reason) ? ` (${reason})` : '';
    throw new StartupError(`${message}${why}`, { cause });
  }
}

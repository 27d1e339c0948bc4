import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { HOST } from '../load/connection.js';

/** Paths of a certificate and its key. */
export interface KeyPairFiles {
  readonly cert: string;
  readonly key: string;
}

/** Makes a certificate for both servers, with a key on the curve P-256. */
export async function newKeyPair(directory: string): Promise<KeyPairFiles> {
  const [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc', '-days', '1'];
  const names = ['-subj', `/CN=${HOST}`, '-addext', `subjectAltName=IP:${HOST}`];
  await promisify(execFile)('openssl', ['req', '-x509', ...kind, ...names, '-out', cert, '-keyout', key]);
  return { cert, key };
}

import { createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { StorageError } from '../../storage.errors.js';

/**
 * Checks the key file of a service account, for a clear message at the start instead of the SDK's at the
 * first request. Files of other kinds (workload identity federation) are left to the SDK.
 *
 * @throws StorageError whose message quotes nothing of the file.
 */
export async function checkKeyFile(path: string): Promise<void> {
  const content = contentOf(await textOf(path), path);
  const { type = 'service_account', client_email: email, private_key: key } = content;
  if (type !== 'service_account') return;
  if (typeof email !== 'string' || typeof key !== 'string') {
    throw invalid(path, 'has no client_email or no private_key: it is not the key of a service account');
  }
  try {
    createPrivateKey(key);
  } catch {
    // The cause may quote the file.
    throw invalid(path, 'has an invalid private_key: create a new key');
  }
}

/**
 * Returns the `token_uri` of a key file, unless it is one of Google's. Google's libraries for other languages
 * use it, the one for Node.js does not.
 *
 * @throws StorageError as {@link checkKeyFile}
 */
export async function foreignTokenUrl(path: string): Promise<string | undefined> {
  const { token_uri: url } = contentOf(await textOf(path), path);
  return typeof url === 'string' && !/^https:\/\/([a-z0-9]+\.)*google(apis)?\.com\//.test(url)
    ? url
    : undefined;
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
    throw invalid(path, `can't be read (${code})`, cause);
  }
}

function contentOf(text: string, path: string): Record<string, unknown> {
  try {
    const content: unknown = JSON.parse(text);
    if (typeof content === 'object' && content !== null) return { ...content };
  } catch {
    // The error's message quotes the file.
  }
  throw invalid(path, 'is not JSON: expected the key file of a service account, as Google Cloud creates it');
}

function invalid(path: string, what: string, cause?: unknown): StorageError {
  return new StorageError(`the file ${path} of STORAGE_GCS_KEY_FILE ${what}`, { cause });
}

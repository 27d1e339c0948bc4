import { createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { StorageError } from '../../storage.errors.js';

/**
 * Finds what is wrong with a key file, which the SDK would say in words of its own at the first request. Files of other
 * kinds than a service account's (of workload identity federation, say) are the SDK's to judge.
 *
 * @throws StorageError with a sentence that has nothing of the file's content.
 */
export async function checkKeyFile(path: string): Promise<void> {
  const content = contentOf(await textOf(path), path);
  const { type = 'service_account', client_email: email, private_key: key } = content;
  if (type !== 'service_account') return;
  if (typeof email !== 'string' || typeof key !== 'string') {
    throw wrong(path, 'has no client_email, or no private_key: it is not the key of a service account');
  }
  try {
    createPrivateKey(key);
  } catch {
    // The reason may quote what it read.
    throw wrong(path, 'has a private_key that is none: fetch a new one');
  }
}

/**
 * The `token_uri` of a key file, where it isn't one of Google's: libraries of other languages heed it, the SDK for
 * Node.js doesn't.
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
    throw wrong(path, `can't be read (${code})`, cause);
  }
}

function contentOf(text: string, path: string): Record<string, unknown> {
  try {
    const content: unknown = JSON.parse(text);
    if (typeof content === 'object' && content !== null) return { ...content };
  } catch {
    // Its message quotes the file.
  }
  throw wrong(path, 'is no JSON: expected the key of a service account, as Google Cloud hands it out');
}

function wrong(path: string, what: string, cause?: unknown): StorageError {
  return new StorageError(`the file ${path} of STORAGE_GCS_KEY_FILE ${what}`, { cause });
}

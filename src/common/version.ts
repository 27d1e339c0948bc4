import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Berth's version, from the `package.json` above this file, wherever it was compiled to. */
export const VERSION = readVersion(dirname(fileURLToPath(import.meta.url)));

function readVersion(directory: string): string {
  try {
    const { name, version } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as Record<
      string,
      string
    >;
    if (name === 'berth' && version !== undefined) return version;
  } catch {
    // Not here: look one directory up.
  }
  const parent = dirname(directory);
  return parent === directory ? 'unknown' : readVersion(parent);
}

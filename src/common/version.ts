import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Berth's version, from the nearest `package.json` above this file. */
export const VERSION = readVersion(dirname(fileURLToPath(import.meta.url)));

function readVersion(directory: string): string {
  try {
    const { name, version } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as Record<
      string,
      string
    >;
    if (name === 'berth' && version !== undefined) return version;
  } catch {
    // Not in this directory: look in its parent.
  }
  const parent = dirname(directory);
  return parent === directory ? 'unknown' : readVersion(parent);
}

import { randomUUID } from 'node:crypto';

/** Returns a repository name that no other test uses. */
export function freshName(prefix = 'test'): string {
  return `${prefix}/${randomUUID()}`;
}

import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';

/**
 * This process among all that share the database. The name is used once: a process that takes the place of another is
 * never mistaken for it, whatever process id it got.
 */
export class Replica {
  readonly name = `${hostname()}/${process.pid}/${randomUUID()}`;
}

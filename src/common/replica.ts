import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';

/**
 * Identifies this process among all that share the database. Each process has another name, also if it gets
 * the process id of an earlier one.
 */
export class Replica {
  readonly name = `${hostname()}/${process.pid}/${randomUUID()}`;
}

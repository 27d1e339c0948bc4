import { createHash, type Hash, hash } from 'node:crypto';
import { formatTarsum, type Tarsum, type TarsumAlgorithm } from '../tarsum.js';
import { SortedRuns } from './sorted-runs.js';
import type { TarEntry } from './tar-entry.js';
import { TarReader } from './tar-reader.js';
import { TarInvalidError } from './tar.errors.js';

/** More entries have no tarsum: each one takes 48 bytes of memory. */
export const MAX_ENTRIES = 262_144;

const SUM_BYTES = 32;
const PATH_BYTES = 16;

/**
 * Calculates a tarsum of bytes that arrive in pieces. `update` and `finish` are steps for `runInTimeSlices`.
 * Bytes that are no plain tar make `finish` throw, and nothing else.
 *
 *     entry   sha256(each field's key and value, extended attributes, body)
 *     tarsum  sha256(the entries' sums in hex, sorted and joined)
 */
export class TarsumCalculator {
  private failure: TarInvalidError | undefined;
  private readonly reader = new TarReader({
    begin: (entry) => this.begin(entry),
    body: (bytes) => this.running?.update(bytes),
    end: () => this.end(),
  });
  private running: Hash | undefined;
  private entries = { count: 0, sums: new SortedRuns(SUM_BYTES), paths: new SortedRuns(PATH_BYTES) };

  constructor(private readonly algorithm: TarsumAlgorithm) {}

  /** The piece must not change until the steps are done. */
  *update(piece: Uint8Array): Generator<void, void> {
    if (this.failure !== undefined) return;
    try {
      yield* this.reader.read(piece);
    } catch (error) {
      if (!(error instanceof TarInvalidError)) throw error;
      this.failure = error;
      this.entries = { count: 0, sums: new SortedRuns(SUM_BYTES), paths: new SortedRuns(PATH_BYTES) };
    }
  }

  /** Call it once, after the last piece. @throws TarInvalidError */
  *finish(): Generator<void, Tarsum> {
    if (this.failure !== undefined) throw this.failure;
    this.reader.finish();
    yield* this.expectDistinctPaths();
    const sum = createHash('sha256');
    for (const value of this.entries.sums.values()) {
      sum.update(value.toString('hex'));
      yield;
    }
    return formatTarsum(this.algorithm, sum.digest('hex'));
  }

  private begin(entry: TarEntry): void {
    if (this.entries.count === MAX_ENTRIES) throw new TarInvalidError(`more than ${MAX_ENTRIES} entries`);
    this.entries.count += 1;
    const path = entry.name.replace(/^\.\//, '').replace(/\/$/, '');
    const key = hash('sha256', Buffer.from(path, 'latin1'), 'buffer');
    this.entries.paths.add(key.subarray(0, PATH_BYTES));
    this.running = createHash('sha256').update(this.headerOf(entry), 'latin1');
  }

  private end(): void {
    if (this.running !== undefined) this.entries.sums.add(this.running.digest());
  }

  /** The order of entries with one path was never well defined. */
  private *expectDistinctPaths(): Generator<void, void> {
    let previous: Buffer | undefined;
    for (const path of this.entries.paths.values()) {
      if (previous?.equals(path) === true) throw new TarInvalidError('a path occurs twice');
      previous = path;
      yield;
    }
  }

  private headerOf(entry: TarEntry): string {
    const { name, mode, uid, gid, size, mtime, typeflag, linkname, uname, gname, devmajor, devminor } = entry;
    const isVersion0 = this.algorithm === 'tarsum+sha256';
    const time = isVersion0 ? `mtime${mtime}` : '';
    const xattrs = isVersion0 ? [] : [...entry.xattrs.entries()].sort(byKey);
    return (
      `name${name}mode${mode}uid${uid}gid${gid}size${size}${time}typeflag${typeflag}linkname${linkname}` +
      `uname${uname}gname${gname}devmajor${devmajor}devminor${devminor}${xattrs.flat().join('')}`
    );
  }
}

/** Keys are distinct. One character per byte, so this is the order of the bytes. */
function byKey([a]: [string, string], [b]: [string, string]): number {
  return a < b ? -1 : 1;
}

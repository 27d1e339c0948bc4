import type { DriverUpload, DriverUploadState, JsonValue } from '../storage-driver.js';
import { UploadStateError } from '../storage.errors.js';
import { newSegmentName, segmentOwner } from './segment-name.js';

/** Every takeover from a writer that never let go adds a segment, and all of them stand in the upload's row. */
export const MAX_SEGMENTS = 512;

/** The bytes from `startBytes` up to but not including `endBytes` of an upload, and where the medium has them. */
export interface Segment {
  readonly name: string;
  readonly startBytes: number;
  readonly endBytes: number;
}

/**
 * What the filesystem and memory drivers remember of an upload: which segment has which of its durable bytes.
 *
 *     0             n           m
 *     ├─── <id> ────┼ <id>~9f… ─┼─ <id>~04… ─►
 *       sealed at n   sealed at m   open: the only one that is written
 *
 * Nearly every upload has one segment, and its state is `{ sizeBytes }`. A fence seals the open segment at its durable
 * size and puts an empty one with a name of its own behind it, so that whoever was shut out writes where nobody reads:
 * `{ sizeBytes, segments: [{ name, endBytes }, …] }`. Two fences of one state, of which only one is recorded, never
 * meet in a name.
 */
export class UploadSegments {
  private constructor(
    readonly id: string,
    /** At least one; each begins where the one before it ends. */
    readonly all: readonly Segment[],
  ) {}

  /** The state of an upload that is begun. */
  static first(id: string): UploadSegments {
    return new UploadSegments(id, [{ name: id, startBytes: 0, endBytes: 0 }]);
  }

  /**
   * What was recorded, read back.
   *
   * @throws UploadStateError when the state is not one that `toState` made for this id.
   */
  static recorded({ id, state }: DriverUpload): UploadSegments {
    const { sizeBytes, segments = [{ name: id, endBytes: sizeBytes ?? null }] } = state;
    if (!isSize(sizeBytes) || !Array.isArray(segments) || segments.length > MAX_SEGMENTS) {
      throw foreignState(id);
    }
    const read = new UploadSegments(id, segmentsOf(id, segments));
    if (read.sizeBytes !== sizeBytes) {
      throw foreignState(id);
    }
    return read;
  }

  /**
   * The same for a caller that says how many bytes it has recorded with the state: one that mixes two records is refused
   * before it can drop bytes that were acknowledged.
   *
   * @throws UploadStateError when the state was recorded at another offset.
   */
  static recordedAt(upload: DriverUpload, sizeBytes: number): UploadSegments {
    const read = UploadSegments.recorded(upload);
    if (read.sizeBytes !== sizeBytes) {
      throw new UploadStateError(
        `upload ${read.id} was recorded with ${read.sizeBytes} bytes, but ${sizeBytes} are asked for`,
      );
    }
    return read;
  }

  get sizeBytes(): number {
    return this.open.endBytes;
  }

  /** The segment that is written. */
  get open(): Segment {
    const last = this.all.at(-1);
    if (last === undefined) {
      throw foreignState(this.id);
    }
    return last;
  }

  /** Those before it: a writer that was shut out may write to them, but no further down than their end. */
  get sealed(): readonly Segment[] {
    return this.all.slice(0, -1);
  }

  /** With the open segment ending at `sizeBytes`. */
  grownTo(sizeBytes: number): UploadSegments {
    return new UploadSegments(this.id, [...this.sealed, { ...this.open, endBytes: sizeBytes }]);
  }

  /** @throws UploadStateError when there are {@link MAX_SEGMENTS} already. */
  fenced(): UploadSegments {
    if (this.all.length === MAX_SEGMENTS) {
      throw new UploadStateError(`upload ${this.id} was taken from its writers too often`);
    }
    const end = this.sizeBytes;
    return new UploadSegments(this.id, [
      ...this.all,
      { name: newSegmentName(this.id), startBytes: end, endBytes: end },
    ]);
  }

  /** With every byte in the open segment. The others stay named, so that they are removed in the end. */
  gathered(): UploadSegments {
    const emptied = this.sealed.map(({ name }) => ({ name, startBytes: 0, endBytes: 0 }));
    return new UploadSegments(this.id, [...emptied, { ...this.open, startBytes: 0 }]);
  }

  /**
   * The segments that hold the first `sizeBytes` bytes, none of them empty.
   *
   * @throws UploadStateError when fewer bytes were durable when the state was recorded.
   */
  firstBytes(sizeBytes: number): readonly Segment[] {
    if (this.sizeBytes < sizeBytes) {
      throw new UploadStateError(
        `upload ${this.id} has ${this.sizeBytes} bytes, but ${sizeBytes} are asked for`,
      );
    }
    return this.all
      .map((segment) => ({ ...segment, endBytes: Math.min(segment.endBytes, sizeBytes) }))
      .filter(({ startBytes, endBytes }) => startBytes < endBytes);
  }

  toState(): DriverUploadState {
    const { sizeBytes } = this;
    return this.all.length === 1
      ? { sizeBytes }
      : { sizeBytes, segments: this.all.map(({ name, endBytes }) => ({ name, endBytes })) };
  }
}

/** What `listUploads` answers of one segment: not a state that {@link UploadSegments.recorded} takes. */
export function listedSegment(id: string, name: string): DriverUpload {
  return { id, state: { listed: name } };
}

/**
 * The segments that an upload, recorded or listed, is to be rid of.
 *
 * @throws UploadStateError when the state was neither recorded nor listed.
 */
export function segmentNames(upload: DriverUpload): string[] {
  const {
    id,
    state: { listed },
  } = upload;
  if (listed === undefined) {
    return UploadSegments.recorded(upload).all.map(({ name }) => name);
  }
  if (typeof listed !== 'string' || segmentOwner(listed) !== id) {
    throw foreignState(id);
  }
  return [listed];
}

function segmentsOf(id: string, recorded: JsonValue[]): Segment[] {
  const names = new Set<string>();
  let startBytes = 0;
  return recorded.map((entry, index) => {
    const { name, endBytes } = entryOf(id, entry);
    // The first one is the id's own, and no other is.
    if (endBytes < startBytes || segmentOwner(name) !== id || (name === id) !== (index === 0)) {
      throw foreignState(id);
    }
    if (names.has(name)) {
      throw foreignState(id);
    }
    names.add(name);
    const segment = { name, startBytes, endBytes };
    startBytes = endBytes;
    return segment;
  });
}

function entryOf(id: string, entry: JsonValue): { name: string; endBytes: number } {
  if (typeof entry === 'object' && entry !== null && !Array.isArray(entry)) {
    const { name, endBytes } = entry;
    if (typeof name === 'string' && isSize(endBytes)) {
      return { name, endBytes };
    }
  }
  throw foreignState(id);
}

function isSize(value: JsonValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function foreignState(id: string): UploadStateError {
  return new UploadStateError(`the state of upload ${id} is not one of this driver`);
}

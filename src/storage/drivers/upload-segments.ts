import type { DriverUpload, DriverUploadState, JsonValue } from '../storage-driver.js';
import { UploadStateError } from '../storage.errors.js';
import { newSegmentName, segmentOwner } from './segment-name.js';

/** Every fence adds a segment, and the upload's row lists all of them. */
export const MAX_SEGMENTS = 512;

/** The bytes of an upload from `startBytes` to `endBytes` (exclusive), stored under `name`. */
export interface Segment {
  readonly name: string;
  readonly startBytes: number;
  readonly endBytes: number;
}

/**
 * The upload state of the filesystem and memory drivers: which segment has which durable bytes.
 *
 *     0             n           m
 *     ├─── <id> ────┼ <id>~9f… ─┼─ <id>~04… ─►
 *       sealed at n   sealed at m   open: the only one that is written
 *
 * Nearly every upload has one segment and the state `{ sizeBytes }`. A fence seals the open segment at its
 * durable size and appends an empty one with a new name: `{ sizeBytes, segments: [{ name, endBytes }, …] }`.
 * The fenced writer can then only write behind the sealed size, where nothing is read. Names are random, so
 * two fences of one state never share a segment.
 */
export class UploadSegments {
  private constructor(
    readonly id: string,
    /** At least one. Each starts where the previous one ends. */
    readonly all: readonly Segment[],
  ) {}

  /** The first state of an upload. */
  static first(id: string): UploadSegments {
    return new UploadSegments(id, [{ name: id, startBytes: 0, endBytes: 0 }]);
  }

  /**
   * Parses a recorded state.
   *
   * @throws UploadStateError if `toState` did not make the state for this id.
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
   * Parses a state that was recorded together with `sizeBytes`. The check stops a caller that mixes two
   * records before it drops acknowledged bytes.
   *
   * @throws UploadStateError also if the state was recorded with another size.
   */
  static recordedAt(upload: DriverUpload, sizeBytes: number): UploadSegments {
    const read = UploadSegments.recorded(upload);
    if (read.sizeBytes !== sizeBytes) {
      throw new UploadStateError(
        `upload ${read.id} was recorded with ${read.sizeBytes} bytes, but the caller expects ${sizeBytes}`,
      );
    }
    return read;
  }

  get sizeBytes(): number {
    return this.open.endBytes;
  }

  /** The segment that the current writer appends to. */
  get open(): Segment {
    const last = this.all.at(-1);
    if (last === undefined) {
      throw foreignState(this.id);
    }
    return last;
  }

  /** The segments before the open one. Fenced writers may still write to them, but only behind their end. */
  get sealed(): readonly Segment[] {
    return this.all.slice(0, -1);
  }

  /** Moves the end of the open segment to `sizeBytes`. */
  grownTo(sizeBytes: number): UploadSegments {
    return new UploadSegments(this.id, [...this.sealed, { ...this.open, endBytes: sizeBytes }]);
  }

  /**
   * Seals the open segment and appends a new one.
   * @throws UploadStateError at {@link MAX_SEGMENTS} segments.
   */
  fenced(): UploadSegments {
    if (this.all.length === MAX_SEGMENTS) {
      throw new UploadStateError(`upload ${this.id} was fenced too often: at most ${MAX_SEGMENTS - 1} times`);
    }
    const end = this.sizeBytes;
    return new UploadSegments(this.id, [
      ...this.all,
      { name: newSegmentName(this.id), startBytes: end, endBytes: end },
    ]);
  }

  /** All bytes are in the open segment. The others stay listed, so that they are removed at the end. */
  gathered(): UploadSegments {
    const emptied = this.sealed.map(({ name }) => ({ name, startBytes: 0, endBytes: 0 }));
    return new UploadSegments(this.id, [...emptied, { ...this.open, startBytes: 0 }]);
  }

  /**
   * Returns the segments of the first `sizeBytes` bytes, without empty ones.
   *
   * @throws UploadStateError if the state has fewer bytes.
   */
  firstBytes(sizeBytes: number): readonly Segment[] {
    if (this.sizeBytes < sizeBytes) {
      throw new UploadStateError(
        `upload ${this.id} has ${this.sizeBytes} bytes, but the caller expects ${sizeBytes}`,
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

/** The entry of `listUploads` for one segment. {@link UploadSegments.recorded} refuses its state. */
export function listedSegment(id: string, name: string): DriverUpload {
  return { id, state: { listed: name } };
}

/**
 * Returns the names of the segments to remove for a recorded or listed upload.
 *
 * @throws UploadStateError if the state was neither recorded nor listed.
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
    // The first segment is named after the id, and only the first.
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
  return new UploadStateError(`this driver did not make the state of upload ${id}`);
}

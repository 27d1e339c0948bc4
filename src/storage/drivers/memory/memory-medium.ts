import type { Claim } from '../../claim-object.js';
import type { ObjectKey } from '../../object-key.js';
import { StorageFullError } from '../../storage.errors.js';

export interface MemoryObject {
  readonly chunks: readonly Buffer[];
  readonly sizeBytes: number;
  readonly modifiedAt: Date;
}

export interface MemorySegment {
  readonly chunks: readonly Buffer[];
  readonly modifiedAt: Date;
}

/**
 * The memory driver's disk. Several drivers may share one, as replicas share a directory. Holds at most
 * `capacityBytes`, including unflushed bytes.
 */
export class MemoryMedium {
  readonly objects = new Map<ObjectKey, MemoryObject>();
  /** The flushed bytes of unfinished uploads, by segment name. */
  readonly segments = new Map<string, MemorySegment>();
  identity: string | undefined;
  claim: Claim | undefined;
  private usedBytes = 0;

  constructor(private readonly capacityBytes: number) {}

  get freeBytes(): number {
    return this.capacityBytes - this.usedBytes;
  }

  /** @throws StorageFullError if less than `bytes` is free. */
  reserve(bytes: number): void {
    if (this.usedBytes + bytes > this.capacityBytes) {
      throw new StorageFullError(`the memory driver is full: it holds at most ${this.capacityBytes} bytes`);
    }
    this.usedBytes += bytes;
  }

  release(bytes: number): void {
    this.usedBytes -= bytes;
  }

  /** Truncates a segment to `sizeBytes`. Creates a missing segment. */
  truncateSegment(name: string, sizeBytes: number): void {
    const chunks = this.chunksOf(name);
    const kept = sliceChunks(chunks, 0, sizeBytes);
    this.release(totalBytes(chunks) - totalBytes(kept));
    this.segments.set(name, { chunks: kept, modifiedAt: new Date() });
  }

  /** Appends `chunk`, whose bytes are reserved, after the first `sizeBytes` bytes of a segment. */
  extendSegment(name: string, sizeBytes: number, chunk: Buffer): void {
    this.truncateSegment(name, sizeBytes);
    this.segments.set(name, { chunks: [...this.chunksOf(name), chunk], modifiedAt: new Date() });
  }

  dropSegment(name: string): void {
    this.release(totalBytes(this.chunksOf(name)));
    this.segments.delete(name);
  }

  chunksOf(name: string): readonly Buffer[] {
    return this.segments.get(name)?.chunks ?? [];
  }
}

export function totalBytes(chunks: readonly Buffer[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.length, 0);
}

/** Returns the bytes from `start` to `end` (exclusive) without copying them. */
export function sliceChunks(chunks: readonly Buffer[], start: number, end: number): Buffer[] {
  const slices: Buffer[] = [];
  let position = 0;
  for (const chunk of chunks) {
    const slice = chunk.subarray(Math.max(start - position, 0), Math.max(end - position, 0));
    if (slice.length > 0) {
      slices.push(slice);
    }
    position += chunk.length;
  }
  return slices;
}

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
 * What a disk is to the file system driver: several drivers may share one, as replicas share a directory. Holds at most
 * `capacityBytes`, unflushed bytes included.
 */
export class MemoryMedium {
  readonly objects = new Map<ObjectKey, MemoryObject>();
  /** The flushed bytes of uploads in flight, by the name of their segment. */
  readonly segments = new Map<string, MemorySegment>();
  identity: string | undefined;
  private usedBytes = 0;

  constructor(private readonly capacityBytes: number) {}

  /** @throws StorageFullError when there is no room. */
  reserve(bytes: number): void {
    if (this.usedBytes + bytes > this.capacityBytes) {
      throw new StorageFullError(`the memory driver is full: it holds at most ${this.capacityBytes} bytes`);
    }
    this.usedBytes += bytes;
  }

  release(bytes: number): void {
    this.usedBytes -= bytes;
  }

  /** Keeps the first `sizeBytes` of a segment, which is there afterwards if it was not before. */
  truncateSegment(name: string, sizeBytes: number): void {
    const chunks = this.chunksOf(name);
    const kept = sliceChunks(chunks, 0, sizeBytes);
    this.release(totalBytes(chunks) - totalBytes(kept));
    this.segments.set(name, { chunks: kept, modifiedAt: new Date() });
  }

  /** Puts `chunk`, whose bytes are reserved, behind the first `sizeBytes` of a segment. */
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

/** The bytes from `start` up to but not including `end`, without copying them. */
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

import { Injectable } from '@nestjs/common';
import { ContendedError } from '../database/errors/contended.error.js';
import { countRefusal } from '../observability/metrics/limit.metrics.js';

/** Nearly all manifests are smaller. Their memory is not counted, so they are always accepted. */
const FREE_BYTES = 64 * 1024;

/** Sixteen manifests of 4 MiB. */
const MAX_BYTES = 64 * 1024 * 1024;

/**
 * Limits the memory of request bodies that a process keeps as a whole while they arrive, are parsed, and wait
 * for the database. Only bytes beyond the first 64 KiB of a body count, and only when they arrive; the number
 * of connections limits the rest. Requests do not wait for memory: they would keep what they have meanwhile
 * and could deadlock.
 */
@Injectable()
export class BodyMemory {
  private reservedBytes = 0;

  /**
   * Runs `work`, which calls `reserve` for the bytes that it keeps until it settles.
   *
   * @throws ContendedError from `reserve` if all bodies together would exceed the limit.
   */
  async run<T>(work: (reserve: (bytes: number) => void) => Promise<T>): Promise<T> {
    let bytes = 0;
    let counted = 0;
    try {
      return await work((more) => {
        bytes += more;
        const toCount = Math.max(0, bytes - FREE_BYTES) - counted;
        if (this.reservedBytes + toCount > MAX_BYTES) {
          countRefusal('manifest_bytes');
          throw new ContendedError();
        }
        this.reservedBytes += toCount;
        counted += toCount;
      });
    } finally {
      this.reservedBytes -= counted;
    }
  }
}

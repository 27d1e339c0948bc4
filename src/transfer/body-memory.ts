import { Injectable } from '@nestjs/common';
import { ContendedError } from '../database/errors/contended.error.js';

/** Nearly all manifests are smaller: however many large ones there are, these are accepted. */
const FREE_BYTES = 64 * 1024;

/** Sixteen manifests of 4 MiB. */
const MOST_BYTES = 64 * 1024 * 1024;

/**
 * Bounds the memory of bodies that a process keeps whole, from their first byte until their request is done:
 * while they arrive, are parsed, and wait for the database. What a body has beyond 64 KiB is counted as it
 * arrives, so that a slow client takes no more than it has sent; the number of connections bounds the rest.
 * No request waits for memory: it would keep what it has meanwhile, and all could wait for each other.
 */
@Injectable()
export class BodyMemory {
  private heldBytes = 0;

  /**
   * Runs `work`, which calls `hold` for the bytes that it keeps until it settles.
   *
   * @throws ContendedError from `hold` where all bodies together would have too many bytes.
   */
  async run<T>(work: (hold: (bytes: number) => void) => Promise<T>): Promise<T> {
    let bytes = 0;
    let counted = 0;
    try {
      return await work((more) => {
        bytes += more;
        const toCount = Math.max(0, bytes - FREE_BYTES) - counted;
        if (this.heldBytes + toCount > MOST_BYTES) throw new ContendedError();
        this.heldBytes += toCount;
        counted += toCount;
      });
    } finally {
      this.heldBytes -= counted;
    }
  }
}

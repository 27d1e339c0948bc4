import { TarInvalidError } from '../../oci/tar/tar.errors.js';
import { TarsumCalculator } from '../../oci/tar/tarsum-calculator.js';
import type { TarsumAlgorithm } from '../../oci/tarsum.js';
import { runInTimeSlices } from '../../oci/time-slices.js';
import type { TarsumState } from './tarsum-state.js';

/** Calculates a tarsum from byte 0 on. `update` must settle before the next call. */
export class TarsumHasher {
  private readonly calculator: TarsumCalculator;
  private lengthBytes = 0;

  constructor(private readonly algorithm: TarsumAlgorithm) {
    this.calculator = new TarsumCalculator(algorithm);
  }

  /** Adds bytes, in slices of time. `chunk` must not change until the promise settles. */
  async update(chunk: Uint8Array): Promise<void> {
    await runInTimeSlices(this.calculator.update(chunk));
    this.lengthBytes += chunk.length;
  }

  /** The state after all bytes. Call it once. */
  async state(): Promise<TarsumState> {
    const { algorithm, lengthBytes } = this;
    try {
      return { algorithm, lengthBytes, tarsum: await runInTimeSlices(this.calculator.finish()) };
    } catch (error) {
      if (!(error instanceof TarInvalidError)) throw error;
      return { algorithm, lengthBytes, refusal: error.message };
    }
  }
}

import type { IncomingMessage } from 'node:http';
import type { BufferPool } from '../buffer-pool.js';
import { DirectBody } from './direct-body.js';
import { type DuplicateDescriptor, loadDuplicateDescriptor } from './duplicate-descriptor.js';
import { verifyDirectReads } from './verify-direct-reads.js';

/** Reads large request bodies directly from their connections, if that works in this process. */
export class DirectReads {
  private constructor(
    private readonly buffers: BufferPool,
    private readonly duplicate: DuplicateDescriptor | undefined,
  ) {}

  /** Reads no body directly. */
  static off(buffers: BufferPool): DirectReads {
    return new DirectReads(buffers, undefined);
  }

  /**
   * Checks that direct reads work with the running Node, with requests to a server of its own.
   *
   * @param log gets one sentence if they don't.
   */
  static async prepare(
    buffers: BufferPool,
    log: (warning: string) => void,
    load: () => Promise<DuplicateDescriptor> = loadDuplicateDescriptor,
  ): Promise<DirectReads> {
    try {
      const duplicate = await load();
      await verifyDirectReads(duplicate);
      return new DirectReads(buffers, duplicate);
    } catch (error) {
      const [reason] = (error instanceof Error ? error.message : String(error)).split('\n', 1);
      log(
        `Layers are received the usual way of Node, which is slower. Direct reads don't work here: ${reason}`,
      );
      return DirectReads.off(buffers);
    }
  }

  /**
   * Returns undefined if the body can't be read directly.
   *
   * @param lengthBytes the length of the body; `Infinity` if it is chunked.
   */
  open(request: IncomingMessage, lengthBytes: number): DirectBody | undefined {
    return this.duplicate && DirectBody.open(request, lengthBytes, this.buffers, this.duplicate);
  }
}

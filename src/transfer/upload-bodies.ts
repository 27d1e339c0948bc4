import type { ServerResponse } from 'node:http';
import { Injectable } from '@nestjs/common';
import { Configuration } from '../config/configuration.js';
import { countRefusal } from '../observability/metrics/limit.metrics.js';
import { TooManyBodiesError } from './body.errors.js';

/**
 * Limits the number of uploads that a process receives at once. Each has buffers; one to an object store also
 * has parts. Requests do not wait: clients retry, also at another replica.
 */
@Injectable()
export class UploadBodies {
  private received = 0;

  constructor(private readonly configuration: Configuration) {}

  /**
   * Counts a body until its response closes.
   *
   * @throws TooManyBodiesError
   */
  enter(response: ServerResponse): void {
    const { uploadMaxBodies: max } = this.configuration;
    if (max > 0 && this.received >= max) {
      countRefusal('upload_bodies');
      throw new TooManyBodiesError(max);
    }
    // The client may have disconnected while its rights were read: then no event follows.
    if (response.closed) return;
    this.received += 1;
    response.once('close', () => (this.received -= 1));
  }
}

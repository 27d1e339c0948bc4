import { Injectable } from '@nestjs/common';
import { Configuration } from '../../config/configuration.js';
import { carriedUploads } from '../../observability/metrics/front.metrics.js';
import { CANONICAL_ALGORITHM } from '../../oci/digest.js';
import { BufferBudget } from '../bytes/buffer-budget.js';
import { WholeBodyBudget } from '../bytes/whole-body-budget.js';
import { KeptBytes } from '../bytes/kept-bytes.js';
import { ReplicaSet } from '../replicas/replica-set.js';
import type { Answer } from '../requests/answer.js';
import { ClientBodies, receiveWhole } from '../requests/client-bodies.js';
import type { ClientRequest } from '../requests/forwarded-headers.js';
import { Patience } from '../requests/patience.js';
import { type RepeatedRequest, Requests } from '../requests/requests.js';
import { CarriedUpload } from './carried-upload.js';
import { pathOf, type UploadRequest, uploadRequestOf } from './upload-request.js';
import { UploadStatus } from './upload-status.js';

/** A smaller body of known length is received as a whole before it is sent. */
const MAX_WHOLE_BYTES = 1024 * 1024;

/** What a front keeps of an upload beyond `UPLOAD_CHECKPOINT_BYTES`, while a checkpoint is being made. */
const AHEAD_BYTES = 8 * 1024 * 1024;

/** Requests that bring bytes to upload sessions. */
@Injectable()
export class Uploads {
  constructor(
    private readonly configuration: Configuration,
    private readonly budget: BufferBudget,
    private readonly wholeBodies: WholeBodyBudget,
    private readonly bodies: ClientBodies,
    private readonly replicas: ReplicaSet,
    private readonly requests: Requests,
    private readonly status: UploadStatus,
  ) {}

  /**
   * A PATCH or PUT with a body.
   *
   * @throws NoReplicaError; errors of the client's body
   */
  async carry(request: ClientRequest): Promise<Answer> {
    const upload = uploadRequestOf(request);
    return this.withPatience(async (patience) => {
      // The bare path of a session: any bytes would be appended, also those of a repeated request.
      const start = upload.start ?? (await this.status.of(upload, patience));
      return typeof start === 'number' ? this.carryFrom(start, upload, request, patience) : start;
    });
  }

  /**
   * A POST of a whole blob that is too large to be sent again as a whole: it becomes a session, and a PUT.
   * A tarsum needs no announcement: the PUT names it, and begins at byte 0.
   *
   * @throws NoReplicaError; errors of the client's body
   */
  async pushWhole(request: ClientRequest, digests: readonly string[]): Promise<Answer> {
    const upload = uploadRequestOf(request);
    const { headers } = upload;
    return this.withPatience(async (patience) => {
      const { 'content-type': _, ...bare } = headers;
      const session = { headers: bare, body: [], isRepeatable: true, isOnSession: false };
      const announced = digests.find((digest) => !digest.startsWith('tarsum')) ?? CANONICAL_ALGORITHM;
      const algorithm = new URLSearchParams({ 'digest-algorithm': announced.split(':', 1)[0] ?? '' });
      const path = pathOf(upload.target);
      const started = await this.requests.ask(
        { ...session, method: 'POST', target: `${path}?${algorithm.toString()}` },
        patience,
      );
      const location = started.headers['location'];
      if (started.status !== 202 || typeof location !== 'string') return started;
      const query = new URLSearchParams(digests.map((digest): [string, string] => ['digest', digest]));
      const put = {
        ...upload,
        method: 'PUT',
        target: `${location}&${query.toString()}`,
        start: 0,
        offsetHeaders: {},
      };
      const cancellation = { ...session, method: 'DELETE', target: pathOf(location), isOnSession: true };
      try {
        const answer = await this.carryFrom(0, put, request, patience);
        if (answer.status !== 201) await this.cancel(cancellation);
        return answer;
      } catch (error) {
        void this.cancel(cancellation);
        throw error;
      }
    });
  }

  /** Ends a session that its client does not know of. Never rejects: it would expire. */
  private async cancel(request: RepeatedRequest): Promise<void> {
    await this.withPatience((patience) => this.requests.ask(request, patience)).catch(() => undefined);
  }

  private async withPatience(work: (patience: Patience) => Promise<Answer>): Promise<Answer> {
    const patience = new Patience(this.configuration.frontRetrySeconds);
    return patience.until(work(patience));
  }

  private async carryFrom(
    start: number,
    upload: UploadRequest,
    request: ClientRequest,
    patience: Patience,
  ): Promise<Answer> {
    const { bodies, replicas, status, configuration } = this;
    carriedUploads.inc();
    const isWhole = upload.lengthBytes <= MAX_WHOLE_BYTES && !upload.expectsContinue;
    const budget = isWhole ? this.wholeBodies : this.budget;
    const kept = new KeptBytes(budget, start, configuration.uploadCheckpointBytes + AHEAD_BYTES);
    const body = bodies.of(request, kept);
    try {
      if (isWhole) {
        await patience.restDuring(receiveWhole(kept, body, upload.lengthBytes));
        if (kept.end?.error !== undefined) throw kept.end.error;
      }
      const parts = { replicas, status, patience, kept, receive: () => body.receive() };
      return await new CarriedUpload(parts, upload, start).run();
    } finally {
      const stopped = body.stop();
      kept.release();
      await stopped;
    }
  }
}

import { Injectable } from '@nestjs/common';
import type { Answer } from '../requests/answer.js';
import type { Patience } from '../requests/patience.js';
import { Requests } from '../requests/requests.js';
import { pathOf, type UploadRequest } from './upload-request.js';

/** Asks replicas how far an upload session is. */
@Injectable()
export class UploadStatus {
  constructor(private readonly requests: Requests) {}

  /**
   * Returns the durable offset of a request's session; or the answer, if there is no such session for the
   * client.
   *
   * @throws NoReplicaError, ClientGoneError
   */
  async of({ target, headers }: UploadRequest, patience: Patience): Promise<number | Answer> {
    const answer = await this.requests.ask(
      { method: 'GET', target: pathOf(target), headers, body: [], isRepeatable: true, isOnSession: true },
      patience,
    );
    if (answer.status !== 204) return answer;
    const offset = answer.headers['upload-offset'];
    if (typeof offset !== 'string')
      throw new Error('a replica reports no Upload-Offset: update replicas before fronts');
    return Number(offset);
  }
}

import { Injectable } from '@nestjs/common';
import { Exchange } from '../replicas/exchange.js';
import type { RemoteReplica, RequestHead } from '../replicas/remote-replica.js';
import { NoReplicaError, ReplicaFailure } from '../replicas/replica-failure.js';
import { ReplicaSet } from '../replicas/replica-set.js';
import { type Answer, collect } from './answer.js';
import type { Patience } from './patience.js';
import { isBusyUpload, isTemporary, saysWhen } from './temporary-answers.js';

/** A request that is sent again until it is answered. */
export interface RepeatedRequest extends RequestHead {
  /** All of the body. */
  readonly body: readonly Uint8Array[];
  /** Whether it may be sent again although a replica may have done what it asks for. */
  readonly isRepeatable: boolean;
  /** Whether it is about an upload session. */
  readonly isOnSession: boolean;
  /** The answer if an earlier attempt has ended what the request is about, which is unknown now. */
  readonly answerIfDone?: Answer;
}

/** Sends requests to replicas until one responds. */
@Injectable()
export class Requests {
  constructor(private readonly replicas: ReplicaSet) {}

  /**
   * Returns the first answer that another replica, or a later attempt, would not improve; when the time is
   * over, the last one that says when to ask again.
   *
   * @throws NoReplicaError, ClientGoneError; ReplicaFailure if the request may not be sent again.
   */
  async ask(request: RepeatedRequest, patience: Patience): Promise<Answer> {
    let failed: RemoteReplica | undefined;
    let last: Answer | undefined;
    let mayBeDone = false;
    try {
      for (;;) {
        const isRepeated = failed !== undefined;
        failed = await this.replicas.choose(patience.signal, failed);
        const outcome = await this.attempt(failed, isRepeated ? repeated(request) : request, patience.signal);
        if (outcome instanceof ReplicaFailure) {
          if (outcome.wasSent && !request.isRepeatable) throw outcome;
          mayBeDone ||= outcome.wasSent;
        } else {
          if (mayBeDone && outcome.status === 404) return request.answerIfDone ?? outcome;
          const isBusy = request.isOnSession && isBusyUpload(outcome);
          const isFinal = !isBusy && !isTemporary(outcome.status, patience.failedAttempts);
          // An error doesn't show that nothing was done.
          if (isFinal || !request.isRepeatable) return outcome;
          // A replica that lost its database doesn't know either.
          mayBeDone ||= outcome.status >= 500;
          last = outcome;
        }
        await patience.failed(outcome);
      }
    } catch (error) {
      if (error instanceof NoReplicaError && last !== undefined && saysWhen(last)) return last;
      throw error;
    }
  }

  private async attempt(
    replica: RemoteReplica,
    request: RepeatedRequest,
    signal: AbortSignal,
  ): Promise<Answer | ReplicaFailure> {
    const { body } = request;
    const lengthBytes = body.reduce((sum, part) => sum + part.length, 0);
    const headers =
      lengthBytes === 0 ? request.headers : { ...request.headers, 'content-length': lengthBytes };
    const exchange = new Exchange(replica, { ...request, headers }, { canLeave: false, signal });
    try {
      await exchange.write(body);
      exchange.end();
      return await collect(await exchange.answered);
    } catch (error) {
      return error instanceof ReplicaFailure ? error : new ReplicaFailure(replica.name, true, error);
    }
  }
}

/** The writer of the session may be lost, which its replica does not know. */
function repeated(request: RepeatedRequest): RepeatedRequest {
  if (!request.isOnSession) return request;
  return { ...request, headers: { ...request.headers, prefer: 'upload-takeover' } };
}

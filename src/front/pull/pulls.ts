import { Injectable, Logger } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Configuration } from '../../config/configuration.js';
import { BufferPool } from '../../transfer/buffer-pool.js';
import { abortSlowReader } from '../../transfer/slow-reader.js';
import { Exchange } from '../replicas/exchange.js';
import type { RemoteReplica } from '../replicas/remote-replica.js';
import { NoReplicaError, ReplicaFailure } from '../replicas/replica-failure.js';
import { ReplicaSet } from '../replicas/replica-set.js';
import { type Answer, collect, sendAnswer } from '../requests/answer.js';
import { answerHeaders, type ClientRequest, forwardedHeaders } from '../requests/forwarded-headers.js';
import { Patience } from '../requests/patience.js';
import { isTemporary, saysWhen } from '../requests/temporary-answers.js';
import { passOn } from './pass-on.js';
import { PullPosition } from './pull-position.js';

/** One pull of a blob. */
interface Pull {
  readonly request: ClientRequest;
  readonly response: ServerResponse;
  readonly patience: Patience;
  /** Set when the response has begun. */
  position?: PullPosition | undefined;
}

/** Pulls of blobs. A pull that breaks off goes on from its next byte at another replica. */
@Injectable()
export class Pulls {
  private readonly logger = new Logger('Pulls');

  constructor(
    private readonly replicas: ReplicaSet,
    private readonly configuration: Configuration,
    private readonly buffers: BufferPool,
  ) {}

  /** @throws NoReplicaError, ClientGoneError: only if the response has not begun. */
  async pull(request: ClientRequest, response: ServerResponse): Promise<void> {
    const patience = new Patience(this.configuration.frontRetrySeconds, response);
    const pull: Pull = { request, response, patience };
    try {
      await this.repeat(pull);
    } catch (error) {
      if (!response.headersSent) throw error;
      this.logger.debug({ err: error }, 'a pull could not go on');
      response.destroy();
    } finally {
      patience.end();
    }
  }

  private async repeat(pull: Pull): Promise<void> {
    let failed: RemoteReplica | undefined;
    let last: Answer | undefined;
    try {
      for (;;) {
        failed = await this.replicas.choose(pull.patience.signal, failed);
        const outcome = await this.attempt(failed, pull);
        if (outcome === undefined) return;
        if (!(outcome instanceof Error)) last = outcome;
        await pull.patience.failed(outcome);
      }
    } catch (error) {
      const isUnanswered = error instanceof NoReplicaError && !pull.response.headersSent;
      if (!isUnanswered || last === undefined || !saysWhen(last)) throw error;
      await sendAnswer(pull.request, pull.response, last);
    }
  }

  /**
   * Returns undefined if the response is complete; otherwise why it is not.
   *
   * @throws Error if the pull can't go on.
   */
  private async attempt(replica: RemoteReplica, pull: Pull): Promise<Answer | Error | undefined> {
    const { request, position, patience } = pull;
    const { method = '', url: target = '' } = request;
    const headers = { ...forwardedHeaders(request), ...position?.headers };
    const exchange = new Exchange(
      replica,
      { method, target, headers },
      { canLeave: true, signal: patience.signal },
    );
    exchange.end();
    try {
      const message = await exchange.answered;
      if (position !== undefined) return await this.continue(pull, replica, message, position);
      return await this.begin(pull, replica, message);
    } catch (error) {
      if (error instanceof ReplicaFailure) return error;
      throw error;
    }
  }

  private async begin(
    pull: Pull,
    replica: RemoteReplica,
    message: IncomingMessage,
  ): Promise<Answer | Error | undefined> {
    const { request, response, patience } = pull;
    const { statusCode: status = 0 } = message;
    const position = PullPosition.of(message);
    if (position === undefined || request.method === 'HEAD') {
      const answer = await collect(message).catch((error: unknown) => new ReplicaFailure('', true, error));
      if (answer instanceof Error) return answer;
      if (isTemporary(status, patience.failedAttempts)) return answer;
      // A large one is several ranges: it takes the client's time.
      patience.rest();
      await sendAnswer(request, response, answer);
      return undefined;
    }
    pull.position = position;
    const { requestIdleTimeoutSeconds, requestMinBytesPerSecond } = this.configuration;
    abortSlowReader(response, requestIdleTimeoutSeconds * 1000, requestMinBytesPerSecond);
    response.writeHead(status, answerHeaders(message));
    return this.passOn(pull, replica, message, position);
  }

  private async continue(
    pull: Pull,
    replica: RemoteReplica,
    message: IncomingMessage,
    position: PullPosition,
  ): Promise<Answer | Error | undefined> {
    if (position.isContinuedBy(message)) return this.passOn(pull, replica, message, position);
    const status = message.statusCode ?? 0;
    message.destroy();
    const error = new Error(`a replica answered ${status} to the rest of a pull`);
    if (isTemporary(status, pull.patience.failedAttempts)) return error;
    throw error;
  }

  private async passOn(
    { response, patience }: Pull,
    replica: RemoteReplica,
    message: IncomingMessage,
    position: PullPosition,
  ): Promise<Error | undefined> {
    const isComplete = await passOn(message, response, position.remaining, this.buffers, {
      onBytes: (bytes) => {
        replica.heard();
        position.advance(bytes);
        patience.progressed();
      },
      onBlocked: (isBlocked) => (isBlocked ? patience.rest() : patience.run()),
    });
    if (!isComplete) return new Error('a pull was broken off');
    response.end();
    return undefined;
  }
}

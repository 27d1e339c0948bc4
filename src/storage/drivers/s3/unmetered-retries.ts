import { StandardRetryStrategy } from '@smithy/core/retry';

type Refresh = StandardRetryStrategy['refreshRetryTokenForRetry'];

/**
 * The SDK's retries, without its quota. All calls of a client share that quota, and only successes refill it
 * slowly. So after an outage the first error of a call would not be retried. Here a call gives its share back
 * when its pause is over: the quota limits how many calls pause at once, and each may use all its attempts.
 */
export class UnmeteredRetries extends StandardRetryStrategy {
  override async refreshRetryTokenForRetry(...call: Parameters<Refresh>): ReturnType<Refresh> {
    const token = await super.refreshRetryTokenForRetry(...call);
    this.recordSuccess(token);
    return token;
  }
}

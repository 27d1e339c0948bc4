import type { RunResults } from './run-results.js';
import type { RepositoryModel } from './repository-model.js';
import type { RetryingRequests } from './retrying-requests.js';
import type { SeededRandom } from './seeded-random.js';

/** A repository that only one client changes, with what the client needs. */
export interface OwnRepository {
  readonly name: string;
  readonly model: RepositoryModel;
  readonly requests: RetryingRequests;
  readonly results: RunResults;
  readonly random: SeededRandom;
}

import type { Ledger } from './ledger.js';
import type { RepositoryModel } from './repository-model.js';
import type { RetryingRequests } from './retrying-requests.js';
import type { SeededRandom } from './seeded-random.js';

/** A repository that one client alone changes, and what it needs for that. */
export interface OwnRepository {
  readonly name: string;
  readonly model: RepositoryModel;
  readonly requests: RetryingRequests;
  readonly ledger: Ledger;
  readonly random: SeededRandom;
}

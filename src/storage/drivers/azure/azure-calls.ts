import { Patience, type PatientCall } from '../../object-store/patience.js';
import type { IoOptions } from '../../storage-driver.js';
import { failureOf } from './azure.errors.js';
import type { AzureLimits } from './azure-limits.js';
import type { AzurePlace } from './azure-place.js';

/** The one way to call Azure: as {@link Patience} does, and with Berth's errors. */
export class AzureCalls {
  private readonly patience: Patience;
  private wasLetIn = false;

  constructor(place: AzurePlace, limits: AzureLimits) {
    this.patience = new Patience(limits, (error, doing) => failureOf(error, doing, place, this.wasLetIn));
  }

  async make<T>(call: PatientCall<T>, options: IoOptions): Promise<T> {
    const answer = await this.patience.make(call, options);
    this.wasLetIn = true;
    return answer;
  }
}

import type { ObjectKey } from './object-key.js';
import type { IoOptions, StorageDriver } from './storage-driver.js';

/** An ability that a driver may have beside the contract: clients can fetch its objects without Berth in between. */
export interface RedirectingStorageDriver extends StorageDriver {
  /**
   * A short-lived URL that serves the object's bytes to whoever has it, ranges included. It is a credential: it must not
   * reach a log, nor a cache that outlives it.
   */
  redirectUrl(key: ObjectKey, options?: IoOptions): Promise<URL>;
}

export function canRedirect(driver: StorageDriver): driver is RedirectingStorageDriver {
  return 'redirectUrl' in driver && typeof driver.redirectUrl === 'function';
}

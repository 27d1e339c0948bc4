import { afterEach, beforeEach } from '@jest/globals';
import type { GcsSettings } from '../../../src/config/gcs.settings.js';
import type { GcsObjectStore } from '../../../src/storage/drivers/gcs/gcs-object.store.js';
import type { GcsLimits } from '../../../src/storage/drivers/gcs/gcs-limits.js';
import { FaultProxy } from '../../support/fault-proxy.js';
import { GcsHarness } from '../../support/gcs-server/gcs-harness.js';

/** Short pauses. Tests of a timeout set their own. */
const LIMITS = { firstPauseMs: 5, maxPauseMs: 10, deadlineMs: 30_000, idleMs: 10_000 };

/** A GCS server, and a proxy that injects faults, for each test. */
export function useFaultyGcs() {
  let harness: GcsHarness;
  let proxy: FaultProxy;
  let store: GcsObjectStore;

  const open = (changes: Partial<GcsSettings> = {}, limits: Partial<GcsLimits> = {}): GcsObjectStore =>
    harness.store({ storageGcsEndpoint: proxy.endpoint, ...changes }, { ...LIMITS, ...limits });

  beforeEach(async () => {
    harness = await GcsHarness.start();
    proxy = await FaultProxy.start(harness.server.url);
    store = open();
  });
  afterEach(async () => {
    await proxy.close();
    await harness.dispose();
  });

  return {
    /** Opens a store that uses the proxy. */
    open,
    get harness() {
      return harness;
    },
    get proxy() {
      return proxy;
    },
    /** A store that uses the proxy. */
    get store() {
      return store;
    },
  };
}

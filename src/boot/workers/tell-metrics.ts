import { snapshot } from '../../observability/metrics/registry.js';
import type { CleanupStack } from '../cleanup-stack.js';
import type { PrimaryLink } from './primary-link.js';

/** Sends the metrics of this worker to its primary: when it asks, and last of all when the worker ends. */
export function tellMetrics(primary: PrimaryLink, cleanup: CleanupStack): void {
  primary.onAskedForMetrics(snapshot);
  cleanup.add(async () => primary.tell({ berth: 'metrics', metrics: await snapshot() }));
}

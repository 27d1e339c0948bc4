import type { StopOptions } from '../stop-options.js';
import type { MetricsSnapshot } from '../../observability/metrics/registry.js';
import type { WorkInProgress } from '../work-in-progress.js';

// After a restart of the workers they run newer code than their primary. So messages only gain optional
// fields, and messages that a process does not know are ignored.

/** Messages of a worker to its primary. They contain no secrets. */
export type WorkerMessage =
  /** The holder's name in its leases. Sent before it takes the first lease. */
  | { readonly berth: 'holder'; readonly name: string }
  /** The worker listens. Its version may be newer than the primary's. */
  | { readonly berth: 'serving'; readonly url: string; readonly version?: string }
  /** Another worker should take its place: it got SIGTERM. */
  | { readonly berth: 'replace me' }
  /** It responds, as the primary asked. */
  | { readonly berth: 'alive' }
  /** What its stop would wait for, as the primary asked. */
  | { readonly berth: 'work'; readonly work: WorkInProgress }
  /** Its metrics, as the primary asked; and once more when it ends, so that nothing it counted is lost. */
  | { readonly berth: 'metrics'; readonly metrics: MetricsSnapshot }
  /** A client asks this worker for the metrics of all. */
  | { readonly berth: 'all metrics?' }
  /** The worker can't start; the message of its `StartupError`. */
  | { readonly berth: 'failed'; readonly reason: string };

/** Messages of the primary to a worker. */
export type PrimaryMessage =
  /** Stop. Not a signal, because signals may reach all processes of a terminal or a container. */
  | { readonly berth: 'stop'; readonly options: StopOptions }
  /** Say that you respond. */
  | { readonly berth: 'alive?' }
  /** Say what a stop would wait for. */
  | { readonly berth: 'work?' }
  /** Send your metrics. */
  | { readonly berth: 'metrics?' }
  /** The metrics of all processes, as Prometheus reads them. */
  | { readonly berth: 'all metrics'; readonly text: string };

/** Whether a message is one of the above: Node and libraries use the channel, too. */
export function isOurs(message: unknown): message is WorkerMessage | PrimaryMessage {
  return typeof message === 'object' && message !== null && 'berth' in message;
}

import cluster from 'node:cluster';
import { isOurs, type WorkerMessage } from './messages.js';

/** A worker's line to its primary. */
export class PrimaryLink {
  /** Calls `stop` when the primary asks for it. */
  onStop(stop: () => void): void {
    process.on('message', (message) => {
      if (isOurs(message) && message.berth === 'stop') stop();
    });
  }

  /**
   * Calls `lost` when the primary is gone: nobody replaces this worker, stops it, or will stop its database
   * in order.
   */
  onLost(lost: () => void): void {
    const { worker } = cluster;
    if (worker === undefined) throw new Error('not a worker');
    // A message that Node itself sends, the end of listening for instance, fails when the primary was just
    // killed. What is to be done then is done on the 'disconnect' that follows.
    worker.on('error', () => undefined);
    worker.on('disconnect', () => {
      // Node would end this process on the spot, in the middle of whatever it writes.
      worker.exitedAfterDisconnect = true;
      lost();
    });
  }

  /** Settles when the message has been handed over, or nobody is there to have it. */
  tell(message: WorkerMessage): Promise<void> {
    return new Promise((resolve) => {
      if (process.send === undefined || !process.connected) resolve();
      else process.send(message, undefined, undefined, () => resolve());
    });
  }
}

import type { DirectorySync } from './durable-directories.js';

/** The sync in progress, and the next one if callers wait for it. */
interface Syncs {
  running: Promise<void>;
  next: Promise<void> | undefined;
}

/**
 * Lets concurrent syncs of a directory share one. Calls during a sync wait for the next one, which starts
 * after all of them. This helps because all uploads have their files in one directory, and a sync makes all
 * its entries durable.
 *
 * Calls also share the failure of the sync that they waited for: it may concern an entry of theirs, and the
 * system reports it only once.
 */
export function shareSyncs(sync: DirectorySync): DirectorySync {
  const byPath = new Map<string, Syncs>();

  function start(path: string): Promise<void> {
    const running = sync(path).finally(() => {
      if (byPath.get(path)?.running === running) byPath.delete(path);
    });
    byPath.set(path, { running, next: undefined });
    return running;
  }

  return (path) => {
    const syncs = byPath.get(path);
    if (syncs === undefined) return start(path);
    syncs.next ??= syncs.running.then(() => start(path));
    return syncs.next;
  };
}

import type { DirectorySync } from './durable-directories.js';

/** A sync that is on its way, and the one after it, where somebody waits for that. */
interface Syncs {
  running: Promise<void>;
  next: Promise<void> | undefined;
}

/**
 * Lets syncs of a directory share one: those that are asked for while one is on its way wait for the next one, which begins after each of
 * them. All uploads have their files in one directory, and a sync makes everything in it durable. They share the failure of the one that they
 * waited for as well: it may have been about an entry of theirs, and the system tells of it once.
 */
export function sharingSyncs(sync: DirectorySync): DirectorySync {
  const byPath = new Map<string, Syncs>();

  function begin(path: string): Promise<void> {
    const running = sync(path).finally(() => {
      if (byPath.get(path)?.running === running) byPath.delete(path);
    });
    byPath.set(path, { running, next: undefined });
    return running;
  }

  return (path) => {
    const syncs = byPath.get(path);
    if (syncs === undefined) return begin(path);
    syncs.next ??= syncs.running.then(() => begin(path));
    return syncs.next;
  };
}

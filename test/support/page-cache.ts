import { dirname } from 'node:path';
import type { SystemCall } from './system-calls.js';

/** The calls that {@link PageCache} needs. */
export const FILE_CALLS = [
  'openat',
  'pwrite64',
  'pwritev',
  'ftruncate',
  'fdatasync',
  'fsync',
  'rename',
  'renameat2',
  'mkdir',
  'unlink',
] as const;

/** The bytes of one `write`. */
interface Write {
  start: number;
  end: number;
  readonly begunAt: number;
  readonly endedAt: number;
  state: 'dirty' | 'durable' | 'lost';
}

const DESCRIPTOR = /^\d+<([^>]*?)(?: \(deleted\))?>/;
const QUOTED = /"((?:[^"\\]|\\.)*)"/g;

/**
 * What a machine would still have of the files of a process after a power failure, by the calls that the
 * process made. It stands for the kernel's page cache at its worst:
 *
 * - Written bytes are durable after a successful flush that began when the write had ended.
 * - A flush that fails loses the bytes that were not durable. The kernel marks their pages clean, so the next
 *   flush succeeds without them. It reports the error once to each descriptor that was open (errseq_t, since
 *   Linux 4.13; see fsync(2) and lwn.net/Articles/752063); a descriptor that is opened after the error was
 *   reported never gets it. So the descriptor that wrote must flush, and a second flush proves nothing: only
 *   writing the bytes again helps.
 * - An entry of a directory is durable after a successful flush of the directory that began when it existed.
 */
export class PageCache {
  private readonly files = new Map<string, Write[]>();
  /** When the entry of a path was made, and whether it is durable. */
  private readonly entries = new Map<string, { readonly madeAt: number; isDurable: boolean }>();

  /** @param calls in the order in which they ended. @param until later calls are left out. */
  constructor(calls: readonly SystemCall[], until = Infinity) {
    for (const call of calls) if (call.endedAt <= until) this.apply(call);
  }

  /**
   * The length of the durable beginning of a file, whatever is durable behind it.
   *
   * @param before how many bytes were durable before the trace began.
   */
  durableBytes(path: string, before = 0): number {
    const writes = this.files.get(path) ?? [];
    const size = Math.max(before, ...writes.map(({ end }) => end));
    const isDurable = new Uint8Array(size).fill(1, 0, before);
    for (const { start, end, state } of writes) isDurable.fill(state === 'durable' ? 1 : 0, start, end);
    const firstLost = isDurable.indexOf(0);
    return firstLost === -1 ? size : firstLost;
  }

  /** The directories from `path` up whose entries, made during the trace, are not durable. */
  unflushedEntries(path: string): string[] {
    const found: string[] = [];
    for (let at = path; at !== dirname(at); at = dirname(at)) {
      if (this.entries.get(at)?.isDurable === false) found.push(at);
    }
    return found;
  }

  private apply(call: SystemCall): void {
    const { name, args, result, begunAt, endedAt } = call;
    const hasFailed = call.error !== undefined;
    const path = DESCRIPTOR.exec(args)?.[1] ?? '';
    const [first = '', second = ''] = [...args.matchAll(QUOTED)].map(([, text]) => text ?? '');
    const numbers = args.split(', ').map(Number);
    if (name === 'fdatasync' || name === 'fsync') return this.flush(path, call, hasFailed);
    if (hasFailed) return;
    if (name === 'pwrite64' || name === 'pwritev') {
      const start = numbers.at(-1) ?? 0;
      this.writesOf(path).push({ start, end: start + result, begunAt, endedAt, state: 'dirty' });
    } else if (name === 'ftruncate') {
      this.truncate(path, numbers.at(-1) ?? 0);
    } else if (name === 'rename' || name === 'renameat2') {
      this.files.set(second, this.files.get(first) ?? []);
      this.files.delete(first);
      this.entries.delete(first);
      this.entries.set(second, { madeAt: endedAt, isDurable: false });
    } else if (name === 'mkdir') {
      this.entries.set(first, { madeAt: endedAt, isDurable: false });
    } else if (name === 'unlink') {
      this.files.delete(first);
      this.entries.delete(first);
    } else if (name === 'openat' && args.includes('O_TRUNC')) {
      this.files.set(first, []);
    }
  }

  private flush(path: string, { begunAt, endedAt }: SystemCall, hasFailed: boolean): void {
    for (const write of this.files.get(path) ?? []) {
      if (write.state !== 'dirty') continue;
      if (hasFailed && write.begunAt < endedAt) write.state = 'lost';
      else if (!hasFailed && write.endedAt <= begunAt) write.state = 'durable';
    }
    if (hasFailed) return;
    for (const [entry, state] of this.entries) {
      if (dirname(entry) === path && state.madeAt <= begunAt) state.isDurable = true;
    }
  }

  private truncate(path: string, size: number): void {
    const writes = this.writesOf(path);
    for (const write of writes) write.end = Math.min(write.end, size);
    this.files.set(
      path,
      writes.filter(({ start, end }) => start < end),
    );
  }

  private writesOf(path: string): Write[] {
    const writes = this.files.get(path) ?? [];
    this.files.set(path, writes);
    return writes;
  }
}

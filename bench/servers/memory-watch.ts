import { readFileSync, writeFileSync } from 'node:fs';
import type { RegistryServer } from './registry-server.js';

/** To look at a process costs the kernel as much as its pages are many: a hundred milliseconds between looks took 7 % of two processors. */
const INTERVAL_MS = 500;

/** Peaks in KiB, of processes together. */
export interface MemoryPeaks {
  /** The sum of what each process had in memory at its own peak: what they share is counted more than once. */
  readonly rssKib: number;
  /** The largest sum at one moment, where what they share is divided among them. */
  readonly pssKib: number;
}

/** Watches the memory of a server's processes from now on. Linux alone tells of it. */
export class MemoryWatch {
  private readonly peakPss = { serving: 0, database: 0 };
  private readonly timer: NodeJS.Timeout;

  /** What the serving processes had when the watch began. */
  readonly pssKibBefore: number;

  private constructor(private readonly server: RegistryServer) {
    this.pssKibBefore = sum(server.processes().serving, currentPss);
    this.timer = setInterval(() => this.sample(), INTERVAL_MS);
  }

  static start(server: RegistryServer): MemoryWatch {
    const { serving, database } = server.processes();
    if (serving.length === 0) throw new Error('the memory of processes can be seen on Linux only');
    for (const pid of [...serving, ...database]) resetPeak(pid);
    return new MemoryWatch(server);
  }

  stop(): { readonly serving: MemoryPeaks; readonly database: MemoryPeaks } {
    clearInterval(this.timer);
    this.sample();
    const { serving, database } = this.server.processes();
    return {
      serving: { rssKib: sum(serving, peakRss), pssKib: this.peakPss.serving },
      database: { rssKib: sum(database, peakRss), pssKib: this.peakPss.database },
    };
  }

  private sample(): void {
    const { serving, database } = this.server.processes();
    this.peakPss.serving = Math.max(this.peakPss.serving, sum(serving, currentPss));
    this.peakPss.database = Math.max(this.peakPss.database, sum(database, currentPss));
  }
}

function sum(pids: readonly number[], measure: (pid: number) => number): number {
  return pids.reduce((total, pid) => total + measure(pid), 0);
}

/** proc(5): 5 sets the peak to what it is now. */
function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

function peakRss(pid: number): number {
  return field(pid, 'status', 'VmHWM');
}

/** In KiB. What several processes have in common is divided among them. */
export function currentPss(pid: number): number {
  return field(pid, 'smaps_rollup', 'Pss');
}

/** In KiB. */
export function currentRss(pid: number): number {
  return field(pid, 'status', 'VmRSS');
}

/** 0 of a process that has ended. */
function field(pid: number, file: string, name: string): number {
  try {
    const found = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(
      readFileSync(`/proc/${pid}/${file}`, 'utf8'),
    );
    return Number(found?.[1] ?? 0);
  } catch {
    return 0;
  }
}

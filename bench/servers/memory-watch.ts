import { readFileSync, writeFileSync } from 'node:fs';
import type { RegistryServer } from './registry-server.js';

/** A sample takes longer the more pages a process has: at 100 ms, samples took 7 % of two processors. */
const INTERVAL_MS = 500;

/** Peaks of all processes together, in KiB. */
export interface MemoryPeaks {
  /** Sum of the peaks of each process. Shared memory counts several times. */
  readonly rssKib: number;
  /** Largest sum at one moment. Shared memory counts once. */
  readonly pssKib: number;
}

/** Samples the memory of a server's processes. Linux only. */
export class MemoryWatch {
  private readonly peakPss = { serving: 0, database: 0 };
  private readonly timer: NodeJS.Timeout;

  /** Memory of the serving processes at the start of the watch. */
  readonly pssKibBefore: number;

  private constructor(private readonly server: RegistryServer) {
    this.pssKibBefore = sum(server.processes().serving, currentPss);
    this.timer = setInterval(() => this.sample(), INTERVAL_MS);
  }

  static start(server: RegistryServer): MemoryWatch {
    const { serving, database } = server.processes();
    if (serving.length === 0) throw new Error('memory can be measured on Linux only');
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

/** proc(5): 5 resets the peak. */
function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

function peakRss(pid: number): number {
  return field(pid, 'status', 'VmHWM');
}

/** In KiB. Shared memory is divided among the processes that share it. */
export function currentPss(pid: number): number {
  return field(pid, 'smaps_rollup', 'Pss');
}

/** In KiB. */
export function currentRss(pid: number): number {
  return field(pid, 'status', 'VmRSS');
}

/** 0 for a process that has ended. */
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

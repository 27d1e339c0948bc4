import type { UploadPlan } from './upload-plan.js';

/** Lines that are kept of what was done, and of each upload's requests. */
const FAULT_LINES = 300;
const REQUEST_LINES = 40;
const PROBLEMS = 20;

/** What was done, what was promised and what was found: the only memory of a run. */
export class Ledger {
  readonly startedAt = performance.now();
  readonly faults = new Map<string, number>();
  /** Kinds of fault that can't be injected here, and why. */
  readonly impossible = new Map<string, string>();
  readonly problems: string[] = [];
  readonly committed = new Map<string, { readonly repository: string; readonly digest: string }>();
  /** What helps to understand the problems. */
  readonly evidence: string[] = [];
  readonly answers = new Map<number, number>();
  uploadsCommitted = 0;
  bytesAcknowledged = 0;
  bytesLost = 0;
  mostUnrecordedBytes = 0;
  killsMeasured = 0;
  private readonly journal: string[] = [];
  private readonly requests = new Map<number, string[]>();
  private readonly troubled = new Set<number>();

  injected(kind: string, detail = ''): void {
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1);
    this.note(`${kind} ${detail}`);
  }

  note(text: string): void {
    this.journal.push(`${this.clock()} ${text}`);
    if (this.journal.length > FAULT_LINES) this.journal.shift();
  }

  request({ index }: UploadPlan, text: string): void {
    const lines = this.requests.get(index) ?? [];
    lines.push(`${this.clock()} ${text}`);
    if (lines.length > REQUEST_LINES) lines.shift();
    this.requests.set(index, lines);
  }

  answered(status: number): void {
    this.answers.set(status, (this.answers.get(status) ?? 0) + 1);
  }

  /** Bytes of one upload that a kill has cost. */
  unrecorded(id: string, bytes: number): void {
    this.note(`${bytes} bytes of ${id} were not recorded yet`);
    this.killsMeasured += 1;
    this.mostUnrecordedBytes = Math.max(this.mostUnrecordedBytes, bytes);
  }

  /** Those kinds that could have been injected and were not. */
  missing(kinds: readonly string[]): string[] {
    return kinds.filter((kind) => !this.faults.has(kind) && !this.impossible.has(kind));
  }

  /** Something that must not be: the run has failed. */
  problem(text: string, plan?: UploadPlan): void {
    if (this.problems.length < PROBLEMS) {
      this.problems.push(plan ? `${this.clock()} upload ${plan.index}: ${text}` : `${this.clock()} ${text}`);
    }
    if (plan) this.troubled.add(plan.index);
  }

  succeeded({ repository }: UploadPlan, digest: string): void {
    this.uploadsCommitted += 1;
    this.committed.set(`${repository} ${digest}`, { repository, digest });
  }

  /** What a person needs to understand a failure; bounded. */
  story(): string {
    const uploads = [...this.troubled].slice(0, 3).map((index) => {
      return [`requests of upload ${index}:`, ...(this.requests.get(index) ?? [])].join('\n  ');
    });
    return [['faults:', ...this.journal].join('\n  '), ...uploads, ...this.evidence].join('\n');
  }

  private clock(): string {
    return `${((performance.now() - this.startedAt) / 1000).toFixed(2).padStart(7)} s`;
  }
}

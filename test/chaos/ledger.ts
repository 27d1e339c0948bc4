import { TimeIsOverError } from './deadline.js';
import type { Outcome } from './client-request.js';
import { lacksRetryAfter } from './transient.js';
import type { UploadPlan } from './upload-plan.js';

/** Lines that are kept of what was done, and of each upload's requests. */
const FAULT_LINES = 300;
const REQUEST_LINES = 40;
const PROBLEMS = 20;

/** Somebody whose requests are remembered. */
export interface Actor {
  readonly label: string;
}

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
  /** What clients that work with images did, by kind. */
  readonly operations = new Map<string, number>();
  /** Further rows of the table. */
  readonly rows: [name: string, value: string][] = [];
  /** What was acknowledged and is not there. */
  readonly thingsLost = new Set<string>();
  wrongAnswers = 0;
  /**
   * Why the run came to no end, where it was slow and nothing was wrong. Then nothing that comes later
   * counts.
   */
  tooSlow: string | undefined;
  /** When an upload, an image operation or a final check last succeeded. */
  progressedAt = performance.now();
  /** With those that are not kept in `problems`. */
  problemCount = 0;
  uploadsCommitted = 0;
  bytesAcknowledged = 0;
  bytesLost = 0;
  mostUnrecordedBytes = 0;
  killsMeasured = 0;
  private readonly journal: string[] = [];
  private readonly requests = new Map<string, string[]>();
  private readonly troubled = new Set<string>();

  injected(kind: string, detail = ''): void {
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1);
    this.note(`${kind} ${detail}`);
  }

  note(text: string): void {
    this.journal.push(`${this.clock()} ${text}`);
    if (this.journal.length > FAULT_LINES) this.journal.shift();
  }

  request({ label }: Actor, text: string): void {
    const lines = this.requests.get(label) ?? [];
    lines.push(`${this.clock()} ${text}`);
    if (lines.length > REQUEST_LINES) lines.shift();
    this.requests.set(label, lines);
  }

  answered(outcome: Outcome, actor: Actor): void {
    const { status } = outcome;
    if (status === undefined) return;
    this.answers.set(status, (this.answers.get(status) ?? 0) + 1);
    if (lacksRetryAfter(outcome)) this.wrong(`an answer with ${status} has no Retry-After`, actor);
  }

  /** Something succeeded: the run does not hang. */
  progressed(): void {
    this.progressedAt = performance.now();
  }

  /** A run that was only slow proves nothing and has not failed. */
  failed(error: unknown): void {
    if (error instanceof TimeIsOverError && !error.hangs) this.tooSlow ??= error.message;
    else this.problem(String(error));
  }

  /** An operation came to its end. */
  did(kind: string): void {
    this.operations.set(kind, (this.operations.get(kind) ?? 0) + 1);
  }

  /** Something that was acknowledged isn't there. */
  lost(what: string, actor: Actor): void {
    if (this.thingsLost.has(what)) return;
    this.thingsLost.add(what);
    this.problem(`lost: ${what}`, actor);
  }

  /** An answer that must not be. */
  wrong(text: string, actor?: Actor): void {
    this.wrongAnswers += 1;
    this.problem(text, actor);
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

  missingOperations(kinds: readonly string[]): string[] {
    return kinds.filter((kind) => !this.operations.has(kind));
  }

  /** Something that must not be: the run has failed. */
  problem(text: string, actor?: Actor): void {
    if (this.tooSlow !== undefined) return;
    this.problemCount += 1;
    if (this.problems.length < PROBLEMS) {
      this.problems.push(`${this.clock()} ${actor ? `${actor.label}: ` : ''}${text}`);
    }
    if (actor) this.troubled.add(actor.label);
  }

  succeeded({ repository }: UploadPlan, digest: string): void {
    this.progressed();
    this.uploadsCommitted += 1;
    this.committed.set(`${repository} ${digest}`, { repository, digest });
  }

  /** What a person needs to understand a failure; bounded. */
  story(): string {
    const uploads = [...this.troubled].slice(0, 3).map((label) => {
      return [`requests of ${label}:`, ...(this.requests.get(label) ?? [])].join('\n  ');
    });
    return [['faults:', ...this.journal].join('\n  '), ...uploads, ...this.evidence].join('\n');
  }

  private clock(): string {
    return `${((performance.now() - this.startedAt) / 1000).toFixed(2).padStart(7)} s`;
  }
}

import { DeadlineExceededError } from './deadline.js';
import type { Outcome } from './client-request.js';
import { lacksRetryAfter } from './transient.js';
import type { UploadPlan } from './upload-plan.js';

/** Maximum number of lines kept of the journal, and of each client's requests. */
const FAULT_LINES = 300;
const REQUEST_LINES = 40;
const PROBLEMS = 20;

/** A client whose requests are recorded. */
export interface Actor {
  readonly label: string;
}

/** Collects what a run did, what the registry acknowledged, and all problems. */
export class RunResults {
  readonly startedAt = performance.now();
  readonly faults = new Map<string, number>();
  /** Kinds of fault that cannot be injected on this machine, with the reason. */
  readonly impossible = new Map<string, string>();
  readonly problems: string[] = [];
  readonly committed = new Map<string, { readonly repository: string; readonly digest: string }>();
  /** Logs that explain the problems. */
  readonly evidence: string[] = [];
  /** Number of responses by status. */
  readonly responses = new Map<number, number>();
  /** Number of operations of clients with images, by kind. */
  readonly operations = new Map<string, number>();
  /** Further rows of the table. */
  readonly rows: [name: string, value: string][] = [];
  /** Acknowledged tags, manifests and blobs that do not exist. */
  readonly lostItems = new Set<string>();
  wrongResponses = 0;
  /** Set if the run exceeded its time limit but made progress. Later problems are not counted. */
  tooSlow: string | undefined;
  /** When an upload, an image operation or a final check last succeeded. */
  progressedAt = performance.now();
  /** Includes those not kept in `problems`. */
  problemCount = 0;
  uploadsCommitted = 0;
  bytesAcknowledged = 0;
  bytesLost = 0;
  maxUnrecordedBytes = 0;
  killsMeasured = 0;
  private readonly journal: string[] = [];
  private readonly requests = new Map<string, string[]>();
  private readonly affected = new Set<string>();

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

  countResponse(outcome: Outcome, actor: Actor): void {
    const { status } = outcome;
    if (status === undefined) return;
    this.responses.set(status, (this.responses.get(status) ?? 0) + 1);
    if (lacksRetryAfter(outcome)) this.wrong(`a response with ${status} has no Retry-After`, actor);
  }

  /** An operation succeeded: the run does not hang. */
  progressed(): void {
    this.progressedAt = performance.now();
  }

  /** A run that was only slow shows nothing, and does not fail. */
  failed(error: unknown): void {
    if (error instanceof DeadlineExceededError && !error.hangs) this.tooSlow ??= error.message;
    else this.problem(String(error));
  }

  /** An operation ended. */
  countOperation(kind: string): void {
    this.operations.set(kind, (this.operations.get(kind) ?? 0) + 1);
  }

  /** An acknowledged item does not exist. */
  lost(what: string, actor: Actor): void {
    if (this.lostItems.has(what)) return;
    this.lostItems.add(what);
    this.problem(`lost: ${what}`, actor);
  }

  /** A wrong response. */
  wrong(text: string, actor?: Actor): void {
    this.wrongResponses += 1;
    this.problem(text, actor);
  }

  /** Bytes of one upload that its client must resend after a kill. */
  unrecorded(id: string, bytes: number): void {
    this.note(`${bytes} bytes of ${id} were not recorded yet`);
    this.killsMeasured += 1;
    this.maxUnrecordedBytes = Math.max(this.maxUnrecordedBytes, bytes);
  }

  /** The kinds that are possible on this machine and were not injected. */
  missing(kinds: readonly string[]): string[] {
    return kinds.filter((kind) => !this.faults.has(kind) && !this.impossible.has(kind));
  }

  missingOperations(kinds: readonly string[]): string[] {
    return kinds.filter((kind) => !this.operations.has(kind));
  }

  /** The run has failed. */
  problem(text: string, actor?: Actor): void {
    if (this.tooSlow !== undefined) return;
    this.problemCount += 1;
    if (this.problems.length < PROBLEMS) {
      this.problems.push(`${this.clock()} ${actor ? `${actor.label}: ` : ''}${text}`);
    }
    if (actor) this.affected.add(actor.label);
  }

  succeeded({ repository }: UploadPlan, digest: string): void {
    this.progressed();
    this.uploadsCommitted += 1;
    this.committed.set(`${repository} ${digest}`, { repository, digest });
  }

  /** A bounded report that explains a failure. */
  report(): string {
    const uploads = [...this.affected].slice(0, 3).map((label) => {
      return [`requests of ${label}:`, ...(this.requests.get(label) ?? [])].join('\n  ');
    });
    return [['faults:', ...this.journal].join('\n  '), ...uploads, ...this.evidence].join('\n');
  }

  private clock(): string {
    return `${((performance.now() - this.startedAt) / 1000).toFixed(2).padStart(7)} s`;
  }
}

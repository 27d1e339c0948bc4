import type { Outcome } from './client-request.js';
import type { Ledger } from './ledger.js';
import type { UploadPlan } from './upload-plan.js';

/** What a client knows of its session, and what it was promised. */
export class SessionView {
  /** The end of what was ever sent to this session. */
  sentEnd = 0;
  /** How far the registry has said it is, durably. */
  acknowledged = 0;
  /**
   * A body without a range may still be on its way: nobody can say where it will be appended, so that going
   * on beside it isn't safe unless it is known to have begun.
   */
  appendsBlindly = false;

  constructor(
    readonly location: string,
    private readonly plan: UploadPlan,
    private readonly ledger: Ledger,
  ) {}

  /** Checks and remembers an offset that the registry has told. */
  told(offset: number, by: string): number {
    if (offset < this.acknowledged) {
      this.ledger.bytesLost += this.acknowledged - offset;
      this.ledger.problem(
        `${this.location}: ${by} says ${offset}, ${this.acknowledged} were acknowledged`,
        this.plan,
      );
    }
    if (offset > this.sentEnd) {
      this.ledger.problem(
        `${this.location}: ${by} says ${offset}, only ${this.sentEnd} were sent`,
        this.plan,
      );
    }
    if (offset > this.acknowledged) this.ledger.progressed();
    this.acknowledged = Math.max(this.acknowledged, offset);
    return offset;
  }

  /** The offset in a `Range`. `0-0` is none or one: the header has no other form for none. */
  offsetIn(outcome: Outcome): number {
    const last = Number(/^0-(\d+)$/.exec(outcome.headers.range ?? '')?.[1] ?? Number.NaN);
    if (Number.isNaN(last)) this.ledger.problem(`an answer without a Range (${outcome.status})`, this.plan);
    if (last > 0) return last + 1;
    return this.acknowledged === 1 ? 1 : 0;
  }
}

/** The true offset in a 416, which says it in words too. */
export function offsetInRefusal({ text }: Outcome): number | undefined {
  const body = JSON.parse(text) as { errors?: { detail?: { offset?: number } }[] };
  return body.errors?.[0]?.detail?.offset;
}

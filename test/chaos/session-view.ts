import type { Outcome } from './client-request.js';
import type { RunResults } from './run-results.js';
import type { UploadPlan } from './upload-plan.js';

/** What a client knows about its session, and the offsets that the registry acknowledged. */
export class SessionView {
  /** The end of all bytes sent to this session. */
  sentEnd = 0;
  /** The highest offset that the registry reported as durable. */
  acknowledged = 0;
  /** The last body that was sent had no range, and its response has not arrived. */
  hasUnrangedBody = false;

  constructor(
    readonly location: string,
    private readonly plan: UploadPlan,
    private readonly results: RunResults,
  ) {}

  /** Checks and records an offset that the registry reported. */
  reported(offset: number, source: string): number {
    if (offset < this.acknowledged) {
      this.results.bytesLost += this.acknowledged - offset;
      this.results.problem(
        `${this.location}: ${source} reports ${offset}, but ${this.acknowledged} were acknowledged`,
        this.plan,
      );
    }
    if (offset > this.sentEnd) {
      this.results.problem(
        `${this.location}: ${source} reports ${offset}, but only ${this.sentEnd} were sent`,
        this.plan,
      );
    }
    if (offset > this.acknowledged) this.results.progressed();
    this.acknowledged = Math.max(this.acknowledged, offset);
    return offset;
  }

  /** The offset in a `Range`. `0-0` means zero or one byte: the header has no form for zero. */
  offsetIn(outcome: Outcome): number {
    const last = Number(/^0-(\d+)$/.exec(outcome.headers.range ?? '')?.[1] ?? Number.NaN);
    if (Number.isNaN(last)) this.results.problem(`a response without a Range (${outcome.status})`, this.plan);
    if (last > 0) return last + 1;
    return this.acknowledged === 1 ? 1 : 0;
  }
}

/** The offset in the error of a 416. */
export function offsetInRefusal({ text }: Outcome): number | undefined {
  const body = JSON.parse(text) as { errors?: { detail?: { offset?: number } }[] };
  return body.errors?.[0]?.detail?.offset;
}

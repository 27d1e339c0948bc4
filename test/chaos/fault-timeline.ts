/** A span of time, in the milliseconds of `performance.now()`. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** Records when each fault was active, to decide afterwards which requests should have succeeded. */
export class FaultTimeline {
  private readonly faults = new Map<string, { from: number; to: number }[]>();

  /** Starts a fault. Returns a function that ends it. */
  begin(what: string): () => void {
    const fault = { from: performance.now(), to: Infinity };
    this.spansOf(what).push(fault);
    return () => {
      fault.to = performance.now();
    };
  }

  add(what: string, span: Span): void {
    this.spansOf(what).push(span);
  }

  /** Whether a fault was active in a span, or in the `graceMs` before it. */
  wasActive(what: string, { from, to }: Span, graceMs = 0): boolean {
    return (this.faults.get(what) ?? []).some((fault) => {
      return fault.from <= to && fault.to + graceMs >= from;
    });
  }

  private spansOf(what: string): { from: number; to: number }[] {
    const spans = this.faults.get(what) ?? [];
    this.faults.set(what, spans);
    return spans;
  }
}

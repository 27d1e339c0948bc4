/** A span of time, in the milliseconds of `performance.now()`. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** What was out of order, and when: so that it can be said afterwards what should have gone well. */
export class Conditions {
  private readonly troubles = new Map<string, { from: number; to: number }[]>();

  /** Something begins to be out of order. Returns what ends that. */
  begin(what: string): () => void {
    const trouble = { from: performance.now(), to: Infinity };
    this.spansOf(what).push(trouble);
    return () => {
      trouble.to = performance.now();
    };
  }

  add(what: string, span: Span): void {
    this.spansOf(what).push(span);
  }

  /** Whether something was out of order in a span, or in the `graceMs` before it. */
  wasTroubled(what: string, { from, to }: Span, graceMs = 0): boolean {
    return (this.troubles.get(what) ?? []).some((trouble) => {
      return trouble.from <= to && trouble.to + graceMs >= from;
    });
  }

  private spansOf(what: string): { from: number; to: number }[] {
    const spans = this.troubles.get(what) ?? [];
    this.troubles.set(what, spans);
    return spans;
  }
}

/** What happened in a run. */
export class Figures {
  requests = 0;
  pushed = 0;
  pulled = 0;
  /** Uploads that went on at another replica. */
  resumed = 0;
  bytesSent = 0;
  /** Bytes that clients had to send once more. */
  bytesAgain = 0;
  /** The most of them after one interruption of an upload that its client resumed. */
  mostAgain = 0;
  /** What clients repeated, with how often. */
  readonly retries = new Map<string, number>();
  /** What no retry helped against. */
  readonly failures: string[] = [];

  retry(what: string): void {
    this.retries.set(what, (this.retries.get(what) ?? 0) + 1);
  }

  sentAgain(bytes: number): void {
    this.bytesAgain += bytes;
    this.mostAgain = Math.max(this.mostAgain, bytes);
  }

  toString(): string {
    const { requests, pushed, pulled, resumed, bytesSent, bytesAgain, mostAgain, failures } = this;
    const retries = [...this.retries].map(([what, count]) => `${count} × ${what}`).join(', ') || 'none';
    return (
      `${requests} requests; images: ${pushed} pushed, ${pulled} pulled; retries: ${retries}; ` +
      `uploads resumed: ${resumed}; sent ${bytesSent} bytes, again ${bytesAgain} (at most ${mostAgain} at once); ` +
      `failures: ${failures.length}`
    );
  }
}

const KEPT_LINES = 40;
/** Not ERROR: that is what a statement may meet on an ordinary day. */
const FAILURE = /\b(FATAL|PANIC):|\berror\b.*:/;
const FIRST_FAILURE = /\b(ERROR|FATAL|PANIC):|\berror\b.*:|could not/;
/** A full disk makes Postgres complain of much else besides. */
const ROOT_CAUSE = /: (No space left on device|Disk quota exceeded)$/;

/** The last lines that Postgres wrote, to say why it ended. Bounded. */
export class LogTail {
  private readonly lines: string[] = [];

  push(line: string): void {
    this.lines.push(line);
    if (this.lines.length > KEPT_LINES) this.lines.shift();
  }

  /**
   * Why a program ended that ended like `how` ("exit code 1"): the last failure that it logged, with its detail or hint. Just `how`
   * where it logged none.
   */
  reason(how: string): string {
    const full = this.lines.findLastIndex((line) => ROOT_CAUSE.test(line));
    const at = full >= 0 ? full : this.lines.findLastIndex((line) => FAILURE.test(line));
    return this.describe(at, how);
  }

  /** The same for a program that does one thing and logs nothing else: what went wrong first, not what followed. */
  firstReason(how: string): string {
    const at = this.lines.findIndex((line) => FIRST_FAILURE.test(line));
    return this.describe(at, how);
  }

  private describe(at: number, how: string): string {
    if (at < 0) return how;
    const detail = this.lines.slice(at + 1).find((line) => /\b(DETAIL|HINT):/.test(line));
    const said = [this.lines[at], detail].flatMap((line) => (line === undefined ? [] : [tidy(line)]));
    return `${said.join(' ')} (${how})`;
  }
}

/** Without the time and process id that initdb's server puts before its lines, and without the full stop. */
function tidy(line: string): string {
  return line
    .trim()
    .replace(/^[-\d]+ [:.\d]+ \w+ \[\d+\] /, '')
    .replace(/:\s+/, ': ')
    .replace(/\.$/, '');
}

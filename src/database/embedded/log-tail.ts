const KEPT_LINES = 40;
/** Not ERROR: that is what a statement may meet on an ordinary day. */
const FAILURE = /\b(FATAL|PANIC):|\berror\b.*:/;

/** The last lines that Postgres wrote, to say why it ended. Bounded. */
export class LogTail {
  private readonly lines: string[] = [];

  push(line: string): void {
    this.lines.push(line);
    if (this.lines.length > KEPT_LINES) this.lines.shift();
  }

  /**
   * Why a program ended that ended like `how` ("exit code 1"): the last failure that it logged, with its detail. Just `how`
   * where it logged none.
   */
  reason(how: string): string {
    const at = this.lines.findLastIndex((line) => FAILURE.test(line));
    if (at < 0) return how;
    const detail = this.lines.slice(at + 1).find((line) => line.startsWith('DETAIL:'));
    const said = [this.lines[at], detail].flatMap((line) => (line === undefined ? [] : [tidy(line)]));
    return `${said.join(' ')} (${how})`;
  }
}

function tidy(line: string): string {
  return line.trim().replace(/:\s+/, ': ').replace(/\.$/, '');
}

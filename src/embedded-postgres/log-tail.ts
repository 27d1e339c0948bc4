import { saysFull } from '../common/free-space.js';

/** A crash ends every session, and each logs three lines about it. The reason comes before those. */
const KEPT_LINES = 1_000;
/** Not ERROR: a statement may fail on an ordinary day. */
const FAILURE = /\b(FATAL|PANIC):|\berror\b.*:|^postgres: could not/;
const FIRST_FAILURE = /\b(ERROR|FATAL|PANIC):|\berror\b.*:|could not/;
/**
 * What Postgres tells clients that connect, or are connected, while it starts and stops. It is never the
 * reason.
 */
const TO_CLIENTS =
  /FATAL:\s+(the database system is |terminating connection|sorry, too many|connection to client lost)/;
/** A process of the server that could log no reason itself. */
const KILLED = /LOG:.* was terminated by /;
const EXTRA = /\b(DETAIL|HINT):/;

/** The last lines that Postgres wrote, to say why it ended. Bounded. */
export class LogTail {
  private readonly lines: string[] = [];

  push(line: string): void {
    this.lines.push(line);
    if (this.lines.length > KEPT_LINES) this.lines.shift();
  }

  /** Why a program ended that ended like `how` ("exit code 1"): the last {@link failure}, or just `how`. */
  reason(how: string): string {
    const said = this.failure();
    return said === undefined ? how : `${said} (${how})`;
  }

  /**
   * The last failure, with its detail or hint. A full disk makes Postgres complain of much else besides: it
   * is the reason for what follows.
   */
  failure(): string | undefined {
    const full = this.lines.findLastIndex((line) => saysFull(line) && FIRST_FAILURE.test(line));
    const failed = full >= 0 ? full : this.lines.findLastIndex(isFailure);
    return this.describe(failed >= 0 ? failed : this.lines.findLastIndex((line) => KILLED.test(line)));
  }

  /**
   * The same for a program that does one thing and logs nothing else: what went wrong first, not what
   * followed.
   */
  firstReason(how: string): string {
    const said = this.describe(this.lines.findIndex((line) => FIRST_FAILURE.test(line)));
    return said === undefined ? how : `${said} (${how})`;
  }

  private describe(at: number): string | undefined {
    const line = this.lines[at];
    if (line === undefined) return undefined;
    const next = this.lines[at + 1];
    return next !== undefined && EXTRA.test(next) ? `${tidy(line)} ${tidy(next)}` : tidy(line);
  }
}

function isFailure(line: string): boolean {
  return FAILURE.test(line) && !TO_CLIENTS.test(line);
}

/** Without the time and process id that initdb's server puts before its lines, and without the full stop. */
function tidy(line: string): string {
  return line
    .trim()
    .replace(/^[-\d]+ [:.\d]+ \w+ \[\d+\] /, '')
    .replace(/:\s+/, ': ')
    .replace(/\.$/, '');
}

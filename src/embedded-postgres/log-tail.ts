import { saysFull } from '../common/free-space.js';

/** A crash ends every session, each with three lines in the log. The reason is above those. */
const KEPT_LINES = 1_000;
/** Not ERROR: failed statements are normal. */
const FAILURE = /\b(FATAL|PANIC):|\berror\b.*:|^postgres: could not/;
const FIRST_FAILURE = /\b(ERROR|FATAL|PANIC):|\berror\b.*:|could not/;
/** Messages to clients while Postgres starts or stops. They are never the reason. */
const TO_CLIENTS =
  /FATAL:\s+(the database system is |terminating connection|sorry, too many|connection to client lost)/;
/** The server reports a process of its own that was killed. */
const KILLED = /LOG:.* was terminated by /;
const EXTRA = /\b(DETAIL|HINT):/;

/** The last lines that Postgres logged, to find out why it ended. Bounded. */
export class LogTail {
  private readonly lines: string[] = [];

  push(line: string): void {
    this.lines.push(line);
    if (this.lines.length > KEPT_LINES) this.lines.shift();
  }

  /** Why the program ended: the last {@link failure}, or only `how` it ended ("exit code 1"). */
  reason(how: string): string {
    const said = this.failure();
    return said === undefined ? how : `${said} (${how})`;
  }

  /** The last failure, with its detail or hint. A full disk causes other failures, so it comes first. */
  failure(): string | undefined {
    const full = this.lines.findLastIndex((line) => saysFull(line) && FIRST_FAILURE.test(line));
    const failed = full >= 0 ? full : this.lines.findLastIndex(isFailure);
    return this.describe(failed >= 0 ? failed : this.lines.findLastIndex((line) => KILLED.test(line)));
  }

  /** The same for `initdb`, which stops at the first failure: the first one, not the last. */
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

/** Removes the time and process id that initdb's server adds, and the full stop. */
function tidy(line: string): string {
  return line
    .trim()
    .replace(/^[-\d]+ [:.\d]+ \w+ \[\d+\] /, '')
    .replace(/:\s+/, ': ')
    .replace(/\.$/, '');
}

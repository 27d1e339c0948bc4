import { getSystemErrorMap } from 'node:util';
import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino';
import type { Configuration } from '../config/configuration.js';
import { BoundedOutput, type DroppedLines } from './bounded-output.js';
import { prettyLines } from './pretty-lines.js';

type LogSettings = Pick<Configuration, 'logLevel' | 'logFormat'>;

/** Fields that are never logged, also within a logged request or an SDK's error. */
const SECRETS = ['authorization', 'cookie', '["set-cookie"]', 'password', 'secretAccessKey', 'parameters'];
const REDACTED_PATHS = SECRETS.flatMap((name) => {
  const key = name.startsWith('[') ? name : `.${name}`;
  return [name, `*${key}`, `*.*${key}`, `*.*.*${key}`];
});

/** The log of this process. */
export interface Log {
  readonly logger: Logger;
  /** Standard output, for text between the log's lines. */
  readonly output: BoundedOutput;
  /** Whether it is text for people; otherwise every line is JSON. */
  readonly isPretty: boolean;
}

/** Opens standard output. Call it once in a process. */
export async function openLog(settings: LogSettings): Promise<Log> {
  const output = new BoundedOutput(1);
  const logger = await createLogger(settings, output);
  // Its own level: dropped lines are reported at every LOG_LEVEL.
  const reporter = logger.child({}, { level: 'warn' });
  output.onDropped((dropped) => reportDropped(reporter, dropped));
  process.once('exit', () => output.writeLast());
  return { logger, output, isPretty: isPretty(settings) };
}

/** Logs JSON lines, or text for people on a terminal. */
export async function createLogger(settings: LogSettings, output: DestinationStream): Promise<Logger> {
  return pino(
    {
      level: settings.logLevel,
      timestamp: stdTimeFunctions.isoTime,
      serializers: { err: describeError },
      redact: { paths: REDACTED_PATHS, censor: '[redacted]' },
    },
    isPretty(settings) ? await prettified(output) : output,
  );
}

function isPretty({ logFormat }: LogSettings): boolean {
  return (logFormat ?? (process.stdout.isTTY ? 'pretty' : 'json')) === 'pretty';
}

/** In this process: pino's worker thread would have its own queue and failures. */
async function prettified(output: DestinationStream): Promise<DestinationStream> {
  const prettify = await prettyLines();
  return { write: (line) => output.write(prettify(line)) };
}

function reportDropped(logger: Logger, { count, since, until, cause }: DroppedLines): void {
  const [from, to] = [since.toISOString(), until.toISOString()];
  const dropped = { count, since: from, until: to, code: cause?.code };
  const lines = count === 1 ? 'log line was' : 'log lines were';
  logger.warn({ dropped }, `${count} ${lines} dropped between ${from} and ${to}: ${reasonOf(cause)}`);
}

function reasonOf(cause: NodeJS.ErrnoException | undefined): string {
  if (cause === undefined) return 'they came faster than they could be written';
  if (cause.code === 'EAGAIN') return 'standard output was not read';
  return getSystemErrorMap().get(cause.errno ?? 0)?.[1] ?? cause.message;
}

/** Logs only these fields of an error: errors of libraries contain requests, headers and parameters. */
export function describeError(error: unknown, depth = 0): unknown {
  if (typeof error !== 'object' || error === null) return String(error);
  const {
    name,
    message,
    code,
    stack,
    cause,
  }: Partial<Record<'name' | 'message' | 'code' | 'stack' | 'cause', unknown>> = error;
  return {
    type: name,
    message,
    code,
    stack,
    ...(cause !== undefined && depth < 3 && { cause: describeError(cause, depth + 1) }),
  };
}

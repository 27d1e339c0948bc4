import { type Logger, pino, stdTimeFunctions } from 'pino';
import type { Configuration } from '../config/configuration.js';

/** What must never be written, wherever somebody logs a request or an SDK's error with all that hangs on it. */
const SECRETS = ['authorization', 'cookie', '["set-cookie"]', 'password', 'secretAccessKey', 'parameters'];
const REDACTED_PATHS = SECRETS.flatMap((name) => {
  const key = name.startsWith('[') ? name : `.${name}`;
  return [name, `*${key}`, `*.*${key}`, `*.*.*${key}`];
});

/** The process's log: lines of JSON on standard output, or text for a person on a terminal. */
export function createLogger({ logLevel, logFormat }: Pick<Configuration, 'logLevel' | 'logFormat'>): Logger {
  const pretty = (logFormat ?? (process.stdout.isTTY ? 'pretty' : 'json')) === 'pretty';
  return pino({
    level: logLevel,
    timestamp: stdTimeFunctions.isoTime,
    serializers: { err: describeError },
    redact: { paths: REDACTED_PATHS, censor: '[redacted]' },
    ...(pretty && {
      transport: { target: 'pino-pretty', options: { ignore: 'pid,hostname', singleLine: true } },
    }),
  });
}

/** Errors of libraries carry requests, headers and parameters along: what is not named here is not written. */
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

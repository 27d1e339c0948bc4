import { escapeUnit } from '../common/printable.js';
import { formatBytes, formatDuration } from '../common/quantity.js';

/** A parsed line of the log. */
type Fields = Record<string, unknown>;

const MAX_AGENT_LENGTH = 24;
const INFO = 30;

/** Fields that a line for people has in its message, or does not need. */
const HIDDEN = [
  'requestId',
  'method',
  'path',
  'status',
  'errorCode',
  'durationMs',
  'bytesIn',
  'bytesOut',
  'repository',
  'reference',
  'digest',
  'uploadId',
  'durableOffset',
  'layers',
  'manifests',
  'contentBytes',
  'account',
  'credential',
  'clientAddress',
  'userAgent',
  'context',
];

/** Turns lines of JSON into text for people. */
export async function prettyLines(): Promise<(line: string) => string> {
  const { prettyFactory } = await import('pino-pretty');
  const prettify = prettyFactory({
    ignore: 'pid,hostname,stop,restart',
    singleLine: true,
    translateTime: 'SYS:HH:MM:ss.l',
  });
  return (line) => prettify(forPeople(JSON.parse(line, withoutControls) as Fields));
}

/** A request's line becomes one sentence, which fits 120 columns in the usual case. */
export function forPeople(line: Fields): Fields {
  if (line['requestId'] === undefined) return line;
  const isRequest = typeof line['method'] === 'string';
  const shown = Object.entries(line).filter(([name]) => !HIDDEN.includes(name));
  const parts = isRequest ? describeRequest(line) : [line['msg'], line['clientAddress']];
  const words = parts.filter((part) => typeof part === 'string' || typeof part === 'number');
  // Errors of other lines have the id as a field.
  const { requestId } = line;
  const id = !isRequest && Number(line['level']) > INFO && { requestId };
  return { ...Object.fromEntries(shown), msg: shortened(words.join(' ')), ...id };
}

function describeRequest(line: Fields): unknown[] {
  const { msg, method, path, status, errorCode, durationMs, bytesIn, bytesOut, account, clientAddress } =
    line;
  const isOrdinary = ['request', 'request aborted', 'request failed'].includes(String(msg));
  const isRefused = Number(status) >= 400;
  const hasContent = status !== null && !isRefused;
  // Clients ask for content that is not there all the time.
  const needsId = isRefused && status !== 404;
  return [
    isOrdinary ? `${String(method)} ${String(path)}` : msg,
    msg === 'request aborted' ? 'broken off' : undefined,
    isOrdinary ? status : undefined,
    errorCode,
    formatDuration(Number(durationMs)),
    Number(bytesIn) > 0 ? `in ${formatBytes(Number(bytesIn))}` : undefined,
    Number(bytesOut) > 0 && hasContent ? `out ${formatBytes(Number(bytesOut))}` : undefined,
    account,
    clientAddress,
    needsId ? line['requestId'] : program(line['userAgent']),
  ];
}

/** `docker/24.0.7 go/go1.20 (linux)` is `docker/24.0.7`. */
function program(userAgent: unknown): string | undefined {
  return typeof userAgent === 'string' ? userAgent.split(' ', 1)[0]?.slice(0, MAX_AGENT_LENGTH) : undefined;
}

/** Digests and ids by their first digits, as people know them from other tools. */
function shortened(text: string): string {
  return text
    .replace(/\b(sha\d{3}:[0-9a-f]{12})[0-9a-f]{52,}/g, '$1…')
    .replace(/\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, '$1…');
}

/** Text from outside must not add lines or control the terminal. Only stacks have several lines. */
function withoutControls(key: string, value: unknown): unknown {
  if (typeof value !== 'string') return value;
  const controls = key === 'stack' ? /[^\P{Cc}\n]/gu : /\p{Cc}/gu;
  return value.replace(controls, escapeUnit);
}

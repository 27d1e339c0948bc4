import type { PushResult } from './push-bench.js';

/** A push, and what is known of the image that it left. */
export interface ResultRow extends PushResult {
  /** The registry, and its storage. */
  readonly registry: string;
  /** Unless there is no image, or it has other bytes. */
  readonly layerBytes: number | undefined;
}

const HEAD = ['registry', 'client', 'fault', 'hit', 'seconds', 'sent', 'result'];

/** A table in Markdown, with one row for each push. */
export function resultsTable(rows: readonly ResultRow[], layerBytes: number): string {
  const lines = rows.map((row) => [
    row.registry,
    row.client,
    row.fault,
    `${row.hits} of ${row.injected}`,
    row.seconds.toFixed(0),
    `${(row.sentBytes / (row.layerBytes ?? layerBytes)).toFixed(3)} ×`,
    resultOf(row),
  ]);
  const all = [HEAD, HEAD.map(() => '---'), ...lines];
  return `\n${all.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n\n`;
}

function resultOf({ succeeded, output, layerBytes }: ResultRow): string {
  if (!succeeded) return `failed: ${lastLine(output)}`;
  if (layerBytes === undefined) return 'exit 0, but the image is not there';
  return /retry/i.test(output) ? 'exit 0, after retries of the client' : 'exit 0';
}

function lastLine(output: string): string {
  return (output.trim().split('\n').at(-1) ?? '').replaceAll('|', '\\|').slice(0, 160);
}

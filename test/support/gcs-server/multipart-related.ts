import { GcsHttpError } from './gcs-http-error.js';

export interface RelatedPart {
  readonly contentType: string | undefined;
  readonly bytes: Buffer;
}

const BREAK = Buffer.from('\r\n\r\n');

/** The parts of a body of `multipart/related` (RFC 2387, RFC 2046 section 5.1.1). */
export function partsOf(contentType: string, body: Buffer): RelatedPart[] {
  const boundary = /^multipart\/related;.*boundary="?([^";]+)"?/i.exec(contentType)?.[1];
  if (boundary === undefined) throw GcsHttpError.invalid('Expected multipart/related with a boundary.');
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  // The first delimiter has no line before it.
  const text = Buffer.concat([Buffer.from('\r\n'), body]);
  const parts: RelatedPart[] = [];
  let at = text.indexOf(delimiter);
  for (;;) {
    const start = at + delimiter.length;
    if (at < 0) throw GcsHttpError.invalid('The multipart body has no end.');
    if (text.toString('latin1', start, start + 2) === '--') return parts;
    at = text.indexOf(delimiter, start);
    parts.push(partOf(text.subarray(start, at < 0 ? text.length : at)));
  }
}

function partOf(text: Buffer): RelatedPart {
  const end = text.indexOf(BREAK);
  if (end < 0) throw GcsHttpError.invalid('A part of the multipart body has no headers.');
  const contentType = /^content-type:\s*(.+)$/im.exec(text.toString('latin1', 0, end))?.[1]?.trim();
  return { contentType, bytes: text.subarray(end + BREAK.length) };
}

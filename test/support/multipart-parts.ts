/** One part of a `multipart/byteranges` body. */
export interface Part {
  readonly type: string | undefined;
  readonly range: string | undefined;
  readonly bytes: Buffer;
}

/** Splits a `multipart/byteranges` body as RFC 2046, section 5.1, has it. @throws if it is malformed */
export function partsOf(contentType: string | null, body: Buffer): Part[] {
  const boundary = /^multipart\/byteranges; boundary=([0-9A-Za-z]{1,70})$/.exec(contentType ?? '')?.[1];
  if (boundary === undefined) throw new Error(`no boundary in ${contentType}`);
  const end = `\r\n--${boundary}--\r\n`;
  const text = `\r\n${body.toString('latin1')}`;
  if (!text.endsWith(end)) throw new Error('the last boundary is missing');
  const [before, ...parts] = text.slice(0, -end.length).split(`\r\n--${boundary}\r\n`);
  if (before !== '') throw new Error('bytes before the first boundary');
  return parts.map((part) => {
    const head = part.slice(0, part.indexOf('\r\n\r\n') + 2);
    const header = (name: string) => new RegExp(`^${name}: (.+)\r$`, 'm').exec(head)?.[1];
    return {
      type: header('Content-Type'),
      range: header('Content-Range'),
      bytes: Buffer.from(part.slice(head.length + 2), 'latin1'),
    };
  });
}

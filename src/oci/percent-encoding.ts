const NOT_A_BYTE = /%(?![0-9a-f]{2}).{0,2}/i;
const BYTES = /(?:%[0-9a-f]{2})+/gi;
const MAX_QUOTED_LENGTH = 30;

/**
 * Says what is wrong with the percent-encoding of a part of a URL, and where (RFC 3986, section 2.1). The
 * encoded bytes must be UTF-8.
 *
 * @returns undefined if the text can be decoded.
 */
export function describeUndecodable(text: string): string | undefined {
  if (!text.includes('%') || isDecodable(text)) return undefined;
  const notByte = NOT_A_BYTE.exec(text);
  if (notByte !== null) {
    return `${quoted(notByte)} is malformed; expected % and two hexadecimal digits`;
  }
  const notText = [...text.matchAll(BYTES)].find(([bytes]) => !isDecodable(bytes));
  return notText && `${quoted(notText)} is malformed; expected the bytes of UTF-8 text`;
}

function quoted({ 0: part, index }: RegExpExecArray): string {
  return `${JSON.stringify(part.slice(0, MAX_QUOTED_LENGTH))} at character ${index + 1}`;
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

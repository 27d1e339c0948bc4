/** The bytes are not JSON or exceed a limit of this reader. */
export class JsonError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'JsonError';
  }
}

/** What may follow in a document. */
export type Expected = 'value' | 'value or end' | 'key' | 'key or end' | 'colon' | 'comma or end' | 'nothing';

const EXPECTED: Readonly<Record<Expected, string>> = {
  value: 'a value',
  'value or end': 'a value or end',
  key: 'a key in quotes',
  'key or end': 'a key in quotes or end',
  colon: '":"',
  'comma or end': '"," or end',
  nothing: 'nothing more',
};

/** @param isList whether the innermost list or object is a list. */
export function describeExpected(expected: Expected, isList = false): string {
  return EXPECTED[expected].replace('end', isList ? '"]"' : '"}"');
}

/** A byte in an error message. */
export function nameOf(byte: number): string {
  const hex = `0x${byte.toString(16).padStart(2, '0')}`;
  if (byte === 0) return `NUL (${hex})`;
  return byte > 0x20 && byte < 0x7f ? `"${String.fromCharCode(byte)}"` : hex;
}

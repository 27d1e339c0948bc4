import fc from 'fast-check';

/**
 * Any text of valid Unicode, like `fc.string({ unit: 'binary' })`. That makes a table of all code points
 * first, which takes a second.
 */
export function anyText(maxLength = 10): fc.Arbitrary<string> {
  // Without the surrogates, D800 to DFFF.
  const codePoint = fc.nat(0x10ffff - 0x800).map((n) => (n < 0xd800 ? n : n + 0x800));
  return fc.array(codePoint, { maxLength }).map((codePoints) => String.fromCodePoint(...codePoints));
}

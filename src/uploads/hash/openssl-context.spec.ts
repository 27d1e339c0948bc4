import { describe, expect, it } from '@jest/globals';
import { DIGEST_ALGORITHMS } from '../../oci/digest.js';
import { CONTEXT_BYTES, readContext, writeContext } from './openssl-context.js';
import { HASH_PARAMETERS } from './midstate.js';

describe.each(DIGEST_ALGORITHMS)("OpenSSL's context of %s", (algorithm) => {
  const { blockBytes, wordBytes, initialWords } = HASH_PARAMETERS[algorithm];
  const lengthBytes = 5 * 1024 ** 3 + 3;
  const midstate = { algorithm, words: initialWords, lengthBytes, partialBlock: 'YWJj' };

  it.each(['LE', 'BE'] as const)('is read back from %s memory as it was written', (endianness) => {
    const context = Buffer.alloc(CONTEXT_BYTES[algorithm], 0xff);
    writeContext(midstate, context, endianness);
    expect(readContext(algorithm, context, endianness)).toEqual(midstate);
  });

  it('has the layout of openssl/sha.h in big-endian memory', () => {
    const context = Buffer.alloc(CONTEXT_BYTES[algorithm], 0xff);
    writeContext(midstate, context, 'BE');
    const bits = (BigInt(lengthBytes) * 8n).toString(16).padStart(4 * wordBytes, '0');
    const [high, low] = [bits.slice(0, 2 * wordBytes), bits.slice(2 * wordBytes)];
    const block = Buffer.concat([Buffer.from('abc'), Buffer.alloc(blockBytes - 3)]).toString('hex');
    // md_len, at the end, is the library's own.
    expect(context.toString('hex')).toBe(`${initialWords}${low}${high}${block}00000003ffffffff`);
  });

  it('refuses to read a context whose counters contradict each other', () => {
    const context = Buffer.alloc(CONTEXT_BYTES[algorithm]);
    writeContext(midstate, context, 'LE');
    context.writeUInt32LE(4, CONTEXT_BYTES[algorithm] - 8);
    expect(() => readContext(algorithm, context, 'LE')).toThrow('unknown layout');
  });

  it('works in a view at an odd offset', () => {
    const context = Buffer.alloc(CONTEXT_BYTES[algorithm] + 3).subarray(3);
    writeContext(midstate, context, 'LE');
    expect(readContext(algorithm, context, 'LE')).toEqual(midstate);
  });
});

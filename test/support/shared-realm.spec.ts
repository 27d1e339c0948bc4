import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { describe, expect, it } from '@jest/globals';

describe('the test environment', () => {
  it("knows Node's errors", async () => {
    await expect(readFile('/nonexistent')).rejects.toBeInstanceOf(Error);
    const refused = await new Promise((resolve) => connect(1).once('error', resolve));
    expect(refused).toBeInstanceOf(Error);
    expect(AbortSignal.abort().reason).toBeInstanceOf(Error);
  });

  it("knows the engine's errors", () => {
    const parse = (): unknown => JSON.parse('{');
    expect(parse).toThrow(SyntaxError);
    expect(parse).toThrow(Error);
    expect(() => (undefined as unknown as { x: number }).x).toThrow(TypeError);
  });

  it('has the typed arrays of Node', () => {
    expect(Buffer.alloc(1)).toBeInstanceOf(Uint8Array);
    expect(Object.getPrototypeOf(Buffer)).toBe(Uint8Array);
    expect(structuredClone(new Float64Array(1))).toBeInstanceOf(Float64Array);
  });
});

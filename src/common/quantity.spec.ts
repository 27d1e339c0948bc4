import { describe, expect, it } from '@jest/globals';
import { formatBytes, formatDuration, quantity } from './quantity.js';

describe('quantities for people', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [2_449, '2.4 kB'],
    [9_960, '10 kB'],
    [999_499, '999 kB'],
    [999_500, '1.0 MB'],
    [24_000_000, '24 MB'],
    [5e15, '5000 TB'],
  ])('%i bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  it.each([
    [0.04, '0.0 ms'],
    [0.4, '0.4 ms'],
    [24.4, '24 ms'],
    [999.5, '1.0 s'],
    [61_000, '61 s'],
  ])('%d milliseconds are %s', (milliseconds, text) => expect(formatDuration(milliseconds)).toBe(text));

  it.each([
    [0, '0 layers'],
    [1, '1 layer'],
    [2, '2 layers'],
  ])('counts %i', (count, text) => expect(quantity(count, 'layer')).toBe(text));
});

import { describe, expect, it } from '@jest/globals';
import { printable } from './printable.js';

describe('printable', () => {
  it.each([
    ['docker/24.0.7 (x)', 'docker/24.0.7 (x)'],
    ['a\nb\r\tc', 'a\\u000ab\\u000d\\u0009c'],
    ['\x1b[31m \x7f \x9b2J', '\\u001b[31m \\u007f \\u009b2J'],
    ['\u2028 \u202e é 😀', '\\u2028 \\u202e \\u00e9 \\ud83d\\ude00'],
    ['x'.repeat(21), `${'x'.repeat(20)}...`],
  ])('makes of %j %j', (text, expected) => expect(printable(text, 20)).toBe(expected));
});

import { describe, expect, it } from '@jest/globals';
import { quoted } from './quoted.js';

describe('quoted', () => {
  it('leaves a short line unchanged', () => {
    expect(quoted('The bucket is – sadly – away.')).toBe('The bucket is – sadly – away.');
  });

  it('makes one line of several, without control characters', () => {
    expect(quoted('\n <html>\r\n\t<b>Bad\u001b[31m Gateway</b>\u0085\u2028</html>\n')).toBe(
      '<html> <b>Bad [31m Gateway</b> </html>',
    );
  });

  it('truncates a long text', () => {
    expect(quoted('x'.repeat(300))).toBe('x'.repeat(300));
    expect(quoted('x'.repeat(301))).toBe(`${'x'.repeat(300)}…`);
  });
});

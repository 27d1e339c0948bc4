import { describe, expect, it } from '@jest/globals';
import { parsePreferences, prefers } from './preferences.js';

describe('Prefer', () => {
  it.each<[header: string, names: string[]]>([
    ['upload-progress', ['upload-progress']],
    ['upload-progress, upload-takeover', ['upload-progress', 'upload-takeover']],
    ['upload-progress,upload-takeover', ['upload-progress', 'upload-takeover']],
    [', ,\tUpload-Progress ,', ['upload-progress']],
    ['upload-progress; every=1; b="c, d"', ['upload-progress']],
    ['a="x, upload-progress", b', ['b']],
    ['a="\\", upload-progress"; c, b', ['b']],
    ['upload-progress=""', ['upload-progress']],
    ['upload-progress = ""', ['upload-progress']],
    ['upload-progress=', ['upload-progress']],
    ['upload-progress=no, wait=10', []],
    ['a="unfinished, upload-progress', []],
    ['a="ends in \\', []],
  ])('asks in %j for %j', (header, names) => {
    expect([...parsePreferences(header)].filter((name) => name !== '')).toEqual(names);
  });

  it('takes no time for a long one', () => {
    for (const part of ['"', '\\', ' ', '=', 'a="', ',"', 'a']) {
      expect(parsePreferences(part.repeat(32_000 / part.length)).has('upload-progress')).toBe(false);
    }
  });

  it('is what a request prefers', () => {
    const request = { headers: { prefer: 'respond-async, upload-takeover' } };
    expect(prefers(request, 'upload-takeover')).toBe(true);
    expect(prefers(request, 'upload-progress')).toBe(false);
    expect(prefers({ headers: {} }, 'upload-progress')).toBe(false);
  });
});

import { describe, expect, it } from '@jest/globals';
import type { DriverUploadState } from '../storage-driver.js';
import { UploadStateError } from '../storage.errors.js';
import { fencedLayout, newLayout, UNRECORDED_NUMBERS } from './upload-layout.js';
import { parseState, parseStateAt, toState } from './upload-state.js';

const ID = '0b8f5c0e-4a53-4d0c-9f0e-2f1d6f9b8f11';
const MD5 = '1B2M2Y8AsgTpgAmY7PhCfg==';
const WHOLE: DriverUploadState = {
  sizeBytes: 225,
  partBytes: 100,
  nextPart: 9,
  multipart: 'm',
  parts: [
    [1, 'a'],
    [4, 'b'],
  ],
  pieces: [['0123456789abcdef', 20, MD5]],
  inline: Buffer.alloc(5).toString('base64'),
  ending: [10_000, 'c'],
  obsolete: ['fedcba9876543210'],
};

describe('the state of an upload', () => {
  it('is parsed as it was recorded', () => {
    for (const state of [WHOLE, toState(newLayout(ID, 100))]) {
      expect(toState(parseState({ id: ID, state }))).toEqual(state);
    }
  });

  it('skips part numbers in a fence, and differs between two fences', () => {
    const layout = parseState({ id: ID, state: WHOLE });
    const fenced = fencedLayout(layout, 10_000);
    expect(fenced.nextPart).toBe(layout.nextPart + UNRECORDED_NUMBERS);
    expect(parseState({ id: ID, state: toState(fenced) })).toEqual(fenced);
    expect(toState(fencedLayout(layout, 10_000))).not.toEqual(toState(fenced));
  });

  it.each<[string, DriverUploadState]>([
    ['a size that differs from its bytes', { ...WHOLE, sizeBytes: 226 }],
    [
      'a tail that is larger than a part',
      { sizeBytes: 120, partBytes: 100, nextPart: 1, pieces: [['0123456789abcdef', 120, MD5]] },
    ],
    [
      'a tail that is a whole part',
      { sizeBytes: 100, partBytes: 100, nextPart: 1, pieces: [['0123456789abcdef', 100, MD5]] },
    ],
    ['parts without a multipart', { ...WHOLE, multipart: 7 }],
    [
      'numbers that do not ascend',
      {
        ...WHOLE,
        parts: [
          [4, 'a'],
          [4, 'b'],
        ],
      },
    ],
    ['a part number that is not used yet', { ...WHOLE, nextPart: 4 }],
    [
      'an invalid part number',
      {
        ...WHOLE,
        parts: [
          [0, 'a'],
          [4, 'b'],
        ],
      },
    ],
    [
      'a part with three fields',
      {
        ...WHOLE,
        parts: [
          [1, 'a', 1],
          [4, 'b'],
        ],
      },
    ],
    ['an invalid tag', { ...WHOLE, ending: [10_000, 7] }],
    ['an ending before its parts', { ...WHOLE, ending: [3, 'c'] }],
    ['a piece outside its folder', { ...WHOLE, pieces: [['../../etc/passwd', 20, MD5]] }],
    ['an empty piece', { ...WHOLE, sizeBytes: 205, pieces: [['0123456789abcdef', 0, MD5]] }],
    ['a piece without a checksum', { ...WHOLE, pieces: [['0123456789abcdef', 20]] }],
    ['an invalid obsolete piece', { ...WHOLE, obsolete: ['/'] }],
    ['bytes that are not base64', { ...WHOLE, inline: '!!!!' }],
    ['empty parts', { ...WHOLE, partBytes: 0 }],
    ['the fence of another upload', { ...WHOLE, fence: 'other~0123456789abcdef' }],
    ['a list that is not a list', { ...WHOLE, parts: 'none' }],
    ['no fields', {}],
  ])('refuses a state with %s', (_, state) => {
    expect(() => parseState({ id: ID, state })).toThrow(UploadStateError);
  });

  it('refuses another offset', () => {
    expect(() => parseStateAt({ id: ID, state: WHOLE }, 224)).toThrow(UploadStateError);
  });
});

import { describe, expect, it } from '@jest/globals';
import type { DriverUploadState } from '../storage-driver.js';
import { UploadStateError } from '../storage.errors.js';
import { UNRECORDED_NUMBERS, UploadLayout } from './upload-layout.js';

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

describe('UploadLayout', () => {
  it('is read back as it was recorded', () => {
    for (const state of [WHOLE, UploadLayout.first(ID, 100).toState()]) {
      expect(UploadLayout.recorded({ id: ID, state }).toState()).toEqual(state);
    }
  });

  it('leaves numbers to those who are shut out, and makes no two fences alike', () => {
    const layout = UploadLayout.recorded({ id: ID, state: WHOLE });
    const fenced = layout.fenced(10_000);
    expect(fenced.nextPart).toBe(layout.nextPart + UNRECORDED_NUMBERS);
    expect(UploadLayout.recorded({ id: ID, state: fenced.toState() }).toState()).toEqual(fenced.toState());
    expect(layout.fenced(10_000).toState()).not.toEqual(fenced.toState());
  });

  it.each<[string, DriverUploadState]>([
    ['a size that its bytes do not have', { ...WHOLE, sizeBytes: 226 }],
    [
      'a tail that is longer than its part',
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
    ['a number that is still to be given', { ...WHOLE, nextPart: 4 }],
    [
      'a number that is none',
      {
        ...WHOLE,
        parts: [
          [0, 'a'],
          [4, 'b'],
        ],
      },
    ],
    [
      'a part of three',
      {
        ...WHOLE,
        parts: [
          [1, 'a', 1],
          [4, 'b'],
        ],
      },
    ],
    ['a tag that is none', { ...WHOLE, ending: [10_000, 7] }],
    ['an ending before its parts', { ...WHOLE, ending: [3, 'c'] }],
    ['a piece with a way out of its folder', { ...WHOLE, pieces: [['../../etc/passwd', 20, MD5]] }],
    ['a piece of no bytes', { ...WHOLE, sizeBytes: 205, pieces: [['0123456789abcdef', 0, MD5]] }],
    ['a piece without a checksum', { ...WHOLE, pieces: [['0123456789abcdef', 20]] }],
    ['an obsolete piece that is none', { ...WHOLE, obsolete: ['/'] }],
    ['bytes that are not base64', { ...WHOLE, inline: '!!!!' }],
    ['parts of no size', { ...WHOLE, partBytes: 0 }],
    ['the fence of another upload', { ...WHOLE, fence: 'other~0123456789abcdef' }],
    ['a list that is none', { ...WHOLE, parts: 'none' }],
    ['nothing', {}],
  ])('refuses a state with %s', (_, state) => {
    expect(() => UploadLayout.recorded({ id: ID, state })).toThrow(UploadStateError);
  });

  it('refuses another offset', () => {
    expect(() => UploadLayout.recordedAt({ id: ID, state: WHOLE }, 224)).toThrow(UploadStateError);
  });
});

import { describe, expect, it } from '@jest/globals';
import type { DriverUploadState, JsonValue } from '../storage-driver.js';
import { UploadStateError } from '../storage.errors.js';
import { newSegmentName, segmentOwner } from './segment-name.js';
import { listedSegment, MAX_SEGMENTS, segmentNames, UploadSegments } from './upload-segments.js';

const ID = '0b8f5c0e-4a53-4d0c-9f0e-2f1d6f9b8f11';
const SECOND = `${ID}~0123456789abcdef`;
const THIRD = `${ID}~fedcba9876543210`;

describe('UploadSegments', () => {
  it('records only the size of an unfenced upload', () => {
    expect(UploadSegments.first(ID).toState()).toEqual({ sizeBytes: 0 });
    expect(UploadSegments.recorded({ id: ID, state: { sizeBytes: 7 } }).all).toEqual([
      { name: ID, startBytes: 0, endBytes: 7 },
    ]);
  });

  it('seals the open segment at its durable size, and opens a new one', () => {
    const fenced = UploadSegments.recorded({ id: ID, state: { sizeBytes: 7 } }).fenced();
    expect(fenced.sealed).toEqual([{ name: ID, startBytes: 0, endBytes: 7 }]);
    expect(fenced.open).toMatchObject({ startBytes: 7, endBytes: 7 });
    expect(fenced.open.name).not.toBe(UploadSegments.first(ID).fenced().open.name);
    const state = fenced.grownTo(9).toState();
    expect(state).toEqual({
      sizeBytes: 9,
      segments: [
        { name: ID, endBytes: 7 },
        { name: fenced.open.name, endBytes: 9 },
      ],
    });
    expect(UploadSegments.recorded({ id: ID, state }).toState()).toEqual(state);
  });

  it('keeps the names of gathered segments, which have no bytes', () => {
    const gathered = UploadSegments.first(ID).grownTo(7).fenced().gathered();
    expect(gathered.firstBytes(7)).toEqual([{ name: gathered.open.name, startBytes: 0, endBytes: 7 }]);
    expect(segmentNames({ id: ID, state: gathered.toState() })).toEqual([ID, gathered.open.name]);
    expect(UploadSegments.recorded({ id: ID, state: gathered.toState() })).toEqual(gathered);
  });

  it('finds the segments of the first bytes', () => {
    const segments = UploadSegments.recorded({ id: ID, state: stateOf([ID, 5], [SECOND, 5], [THIRD, 8]) });
    expect(segments.firstBytes(0)).toEqual([]);
    expect(segments.firstBytes(5)).toEqual([{ name: ID, startBytes: 0, endBytes: 5 }]);
    expect(segments.firstBytes(6)).toEqual([
      { name: ID, startBytes: 0, endBytes: 5 },
      { name: THIRD, startBytes: 5, endBytes: 6 },
    ]);
    expect(() => segments.firstBytes(9)).toThrow(UploadStateError);
  });

  it.each<[string, DriverUploadState]>([
    ['no size', { segments: [{ name: ID, endBytes: 0 }] }],
    ['a size that is none', { sizeBytes: 1.5 }],
    ['a negative size', { sizeBytes: -1 }],
    ['no list', { sizeBytes: 0, segments: 'none' }],
    ['null for a list', { sizeBytes: 0, segments: null }],
    ['an empty list', { sizeBytes: 0, segments: [] }],
    ['entries that are none', { sizeBytes: 0, segments: [null] }],
    ['entries that are lists', { sizeBytes: 0, segments: [[ID, 0]] }],
    ['entries without a name', { sizeBytes: 0, segments: [{ endBytes: 0 }] }],
    ['entries without a size', { sizeBytes: 0, segments: [{ name: ID }] }],
    ['an end that is not the size', { ...stateOf([ID, 5]), sizeBytes: 6 }],
    ['segments that overlap', stateOf([ID, 5], [SECOND, 4])],
    ['a negative end', stateOf([ID, -1], [SECOND, 4])],
    ['a first segment that is not the id’s', stateOf([SECOND, 5])],
    ['the id’s segment twice', stateOf([ID, 5], [ID, 6])],
    ['a segment twice', stateOf([ID, 5], [SECOND, 6], [SECOND, 7])],
    ['a segment of another upload', stateOf([ID, 5], ['other~0123456789abcdef', 6])],
    ['another upload', stateOf([ID, 5], ['other', 6])],
    ['a way out of the folder', stateOf([ID, 5], [`${ID}~/../../etc/passwd`, 6])],
    ['a way out of the folder, by the name of a segment', stateOf([ID, 5], [`../${SECOND}`, 6])],
    ['a name that no fence makes', stateOf([ID, 5], [`${ID}~0123`, 6])],
    ['a name with a line end', stateOf([ID, 5], [`${SECOND}\n`, 6])],
    [
      'too many',
      stateOf([ID, 0], ...Array.from({ length: MAX_SEGMENTS }, () => [newSegmentName(ID), 0] as const)),
    ],
  ])('refuses a state with %s', (_, state) => {
    expect(() => UploadSegments.recorded({ id: ID, state })).toThrow(UploadStateError);
    expect(() => segmentNames({ id: ID, state })).toThrow(UploadStateError);
  });

  it('makes only states that it can parse', () => {
    let segments = UploadSegments.first(ID);
    for (let fence = 1; fence < MAX_SEGMENTS; fence += 1) segments = segments.fenced();
    expect(UploadSegments.recorded({ id: ID, state: segments.toState() })).toEqual(segments);
    expect(() => segments.fenced()).toThrow(UploadStateError);
  });
});

describe('segmentNames', () => {
  it('returns the listed segment', () => {
    expect(segmentNames(listedSegment(ID, SECOND))).toEqual([SECOND]);
    expect(segmentNames(listedSegment(ID, ID))).toEqual([ID]);
    expect(() => UploadSegments.recorded(listedSegment(ID, SECOND))).toThrow(UploadStateError);
  });

  it.each<JsonValue>(['other', '', '..', `../${ID}`, 7, null, [ID]])('refuses a listed %j', (listed) => {
    expect(() => segmentNames({ id: ID, state: { listed } })).toThrow(UploadStateError);
  });
});

describe('segmentOwner', () => {
  it.each([ID, 'a.b_c-D', 'a'.repeat(128)])('returns the upload of a segment: %.40s', (id) => {
    expect(segmentOwner(id)).toBe(id);
    expect(segmentOwner(newSegmentName(id))).toBe(id);
  });

  it.each(['', '~', 'a/b', 'a~', 'a~0123456789abcdeF', 'lost+found', 'a'.repeat(129), `a~${'0'.repeat(17)}`])(
    'returns undefined for other names: %.40s',
    (name) => {
      expect(segmentOwner(name)).toBeUndefined();
    },
  );
});

function stateOf(...segments: (readonly [name: string, endBytes: number])[]): DriverUploadState {
  return {
    sizeBytes: segments.at(-1)?.[1] ?? 0,
    segments: segments.map(([name, endBytes]) => ({ name, endBytes })),
  };
}

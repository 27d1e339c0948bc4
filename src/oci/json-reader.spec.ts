import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { JsonError } from './json-error.js';
import { JsonReader, MAX_JSON_TEXT_BYTES } from './json-reader.js';
import { type JsonShape, objectOf } from './json-shape.js';

const EVERYTHING: JsonShape = {
  get everyMember() {
    return EVERYTHING;
  },
  get items() {
    return EVERYTHING;
  },
};

function read(text: string | Uint8Array, shape = EVERYTHING, stepBytes = 7): unknown {
  const reader = new JsonReader(Buffer.from(text), shape);
  while (!reader.read(stepBytes));
  return reader.value;
}

/** Copies the value into objects that have a prototype. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value)) as unknown;

describe('JsonReader', () => {
  it.each([
    'true',
    'false',
    'null',
    '0',
    '-0',
    '-12.5e+3',
    '1E400',
    '0.1e-7',
    '""',
    String.raw`"a\\ \" \/ \b\f\n\r\t\u00e9é😀"`,
    '"\\ud83d\\ude00 \\ud800"',
    '[]',
    '{}',
    ' [ 1 , [ ] , { } ,\t"x" ]\r\n',
    '{"a":{"b":[{"c":null}]},"":0}',
    '{"constructor":1,"toString":2}',
  ])('reads %s as JSON.parse does', (text) => {
    for (const step of [1, 7, 1000]) {
      expect(plain({ it: read(text, EVERYTHING, step) })).toEqual(plain({ it: JSON.parse(text) as unknown }));
    }
  });

  it.each([
    '',
    ' ',
    '{',
    '[',
    '[1',
    '"',
    '"\\',
    '"\\u12',
    '"\\u12g4"',
    '"\\x"',
    '"\n"',
    "'a'",
    'tru',
    'nulll',
    'undefined',
    'NaN',
    '01',
    '1.',
    '.1',
    '+1',
    '-',
    '1e',
    '1e+',
    '1 2',
    '[1,]',
    '[,1]',
    '[1 2]',
    '[1}',
    '{]',
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    '{,}',
    '{a:1}',
    '{1:1}',
    '{"a":1 "b":2}',
    '{"a":1]',
    ']',
    ',',
    ':',
    '\ufeff1',
    '\u00a01',
    '// 1',
  ])('refuses %j, as JSON.parse does', (text) => {
    expect(() => JSON.parse(text) as unknown).toThrow();
    for (const step of [1, 1000]) expect(() => read(text, EVERYTHING, step)).toThrow(JsonError);
  });

  it('reads every value as JSON.parse does, however it is written', () => {
    const spaced = fc.constantFrom(undefined, ' ', '\t', 3);
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), spaced, fc.nat(30), (json, space, step) => {
        const text = JSON.stringify(JSON.parse(json), null, space);
        expect(plain({ it: read(text, EVERYTHING, step + 1) })).toEqual({ it: JSON.parse(text) as unknown });
      }),
      { numRuns: 200 },
    );
  });

  it('accepts what JSON.parse accepts, and no more', () => {
    const parts = [
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"b"',
      '"',
      '\\',
      '1',
      '-',
      '.5',
      'e1',
      'true',
      ' ',
      'null',
    ];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...parts), { maxLength: 12 }), (chosen) => {
        const text = chosen.join('');
        const own = outcome(() => read(text));
        const builtIn = outcome(() => JSON.parse(text) as unknown);
        // JSON.parse loses repeated keys.
        if (own.error?.includes('is twice') === true) return;
        expect(own.value).toEqual(builtIn.value);
      }),
      { numRuns: 1_000 },
    );
  });

  it('refuses a repeated key, at every level and however it is written', () => {
    const escape = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
    const escaped = (key: string) => `"${key.split('').map(escape).join('')}"`;
    fc.assert(
      fc.property(fc.string(), fc.boolean(), fc.nat(90), (key, isEscaped, depth) => {
        const again = isEscaped ? escaped(key) : JSON.stringify(key);
        const twice = `{${JSON.stringify(key)}:1,"other ${key.length}":2,${again}:3}`;
        const text = `${'['.repeat(depth)}${twice}${']'.repeat(depth)}`;
        // In parts that are kept and in parts that are not.
        expect(() => read(text)).toThrow('is repeated in one object');
        expect(() => read(text, {})).toThrow('is repeated in one object');
      }),
    );
    expect(read('[{"a":1},{"a":2},{"b":{"b":{"b":1}}}]')).toHaveLength(3);
  });

  it('keeps the requested parts only', () => {
    const shape = objectOf({ a: {}, list: { items: objectOf({ b: {} }) }, all: { everyMember: {} } });
    const text = '{"a":[1,{"x":2}],"z":"z","list":[{"b":1,"c":2},3,[4]],"all":{"x":"y","__proto__":{"q":1}}}';
    const value = read(text, shape) as Record<string, unknown>;
    expect(plain(value)).toEqual(
      JSON.parse('{"a":[],"list":[{"b":1},3,[]],"all":{"x":"y","__proto__":{}}}') as unknown,
    );
    expect(Object.getPrototypeOf(value.all)).toBeNull();
  });

  it('finds the first byte that is not UTF-8, wherever it is', () => {
    const character = fc.constantFrom('a', 'é', '€', '😀');
    fc.assert(
      fc.property(fc.array(character, { maxLength: 50 }), fc.nat(70_000), (characters, repeats) => {
        const text = `"${'é'.repeat(repeats)}${characters.join('')}`;
        const bytes = Buffer.concat([Buffer.from(text), Buffer.from([0xff]), Buffer.from('é"')]);
        expect(() => read(bytes)).toThrow(`not UTF-8, at byte ${bytes.indexOf(0xff)}`);
      }),
      { numRuns: 50 },
    );
  });

  it('passes items on instead of keeping them', () => {
    const items: unknown[] = [];
    const onItem = (item: unknown, index: number) => items.push([index, plain(item)]);
    const value = read(
      '{"list":[{"b":1},[2],3,"x"]}',
      objectOf({ list: { items: objectOf({ b: {} }), onItem } }),
    );
    expect(plain(value)).toEqual({ list: [] });
    expect(items).toEqual([
      [0, { b: 1 }],
      [1, []],
      [2, 3],
      [3, 'x'],
    ]);
  });

  it.each([
    ['UTF-8 that is broken', Buffer.from([0x22, 0xff, 0x22]), 'not UTF-8, at byte 1'],
    ['half a surrogate pair in UTF-8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), 'not UTF-8, at byte 1'],
    ['a character that is cut off', Buffer.from('"é').subarray(0, 2), 'not UTF-8, at byte 1'],
    [
      'the beginning of a replacement character',
      Buffer.from([0x22, 0xef, 0xbf, 0x22]),
      'not UTF-8, at byte 1',
    ],
    ['the same at the end', Buffer.from([0x22, 0xef, 0xbf]), 'not UTF-8, at byte 1'],
    ['a byte order mark', '\ufeff1', 'a byte order mark, at byte 0; send the JSON without it'],
    ['nothing', '', 'it ends at byte 0, expected a value'],
    ['a string without an end', '["a', 'it ends at byte 3, expected the end of a string'],
    ['a line end in a string', '"\n"', 'found 0x0a at byte 1, expected an escape instead'],
    ['an unknown escape', '"\\x"', 'found "x" at byte 2, expected an escape'],
    ['an escape that is too short', '"\\u12"', 'at byte 5, expected a hexadecimal digit'],
    ['a word', '[nope]', 'found "n" at byte 1, expected a value or "]"'],
    ['a list in another bracket', '[1}', 'found "}" at byte 2, expected "," or "]"'],
    ['a key without quotes', '{a:1}', 'found "a" at byte 1, expected a key in quotes or "}"'],
    ['a key without a colon', '{"a"1}', 'found "1" at byte 4, expected ":"'],
    ['a NUL at the end', '{}\0', 'found NUL (0x00) at byte 2, expected nothing more'],
    ['a minus alone', '-', 'it ends at byte 1, expected a digit'],
    ['101 levels', '['.repeat(101), '100 levels deep, at byte 100'],
    ['a million levels', '{"a":'.repeat(1_000_000), '100 levels'],
    ['more members than the limit', membersOf(10_001), 'more than 10000 members'],
    [
      'a key of more than its limit',
      `{"${'x'.repeat(MAX_JSON_TEXT_BYTES + 1)}":1}`,
      'longer than 4194304 bytes',
    ],
    ['a number of more digits than the limit', '1'.repeat(1_001), 'more than 1000 digits'],
    [
      'a kept text of more than its limit',
      `"${'x'.repeat(MAX_JSON_TEXT_BYTES + 1)}"`,
      'longer than 4194304 bytes',
    ],
  ])('refuses %s', (_, text, message) => {
    expect(() => read(text, EVERYTHING, 1000)).toThrow(message);
  });

  it.each([
    ['100 levels', '['.repeat(100) + ']'.repeat(100)],
    ['a number of as many digits as the limit', `-${'1'.repeat(1_000)}.${'2'.repeat(1_000)}`],
    ['as many members as the limit', membersOf(10_000)],
    ['a text that isn’t kept, of any length', `["${'x'.repeat(MAX_JSON_TEXT_BYTES + 1)}"]`],
  ])('accepts %s', (_, text) => {
    expect(() => read(text, {}, 1000)).not.toThrow();
  });

  it.each([
    ['lists', '['.repeat(2) + '[],'.repeat(300_000) + '1]]'],
    ['objects', `[${'{"a":{}},'.repeat(100_000)}1]`],
    ['numbers', `[${'1,'.repeat(500_000)}1]`],
    ['a text', `"${'x'.repeat(1_000_000)}"`],
    ['escapes', `"${'\\u0061'.repeat(160_000)}"`],
    ['white space', `${' '.repeat(1_000_000)}1`],
  ])('reads no more per step than requested: %s', (_, text) => {
    const reader = new JsonReader(Buffer.from(text), {});
    let steps = 1;
    while (!reader.read(1000)) steps += 1;
    // A token at the end of a step is read to its own end.
    expect(steps).toBeGreaterThan(text.length / 1010);
  });
});

function membersOf(count: number): string {
  return `{${Array.from({ length: count }, (_, index) => `"${index}":0`).join(',')}}`;
}

function outcome(work: () => unknown): { readonly value: unknown; readonly error?: string } {
  try {
    return { value: plain({ it: work() }) };
  } catch (error) {
    return { value: 'refused', error: String(error) };
  }
}

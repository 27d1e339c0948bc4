import { gzipSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  longHeader,
  paxHeader,
  paxRecord,
  TAR_END,
  tarEntry,
  type TarFields,
  tarOf,
  tarsumOf,
} from '../../../test/support/tar-archive.js';
import type { TarsumAlgorithm } from '../tarsum.js';
import { TarsumCalculator } from './tarsum-calculator.js';
import { TarInvalidError } from './tar.errors.js';

const VERSION_0 = 'tarsum+sha256';
const VERSION_1 = 'tarsum.v1+sha256';
const BOTH = [VERSION_0, VERSION_1] as const;

/** The tarsum of pieces, or why there is none. */
function sum(algorithm: TarsumAlgorithm, ...pieces: Uint8Array[]): string {
  const calculator = new TarsumCalculator(algorithm);
  for (const piece of pieces) Array.from(calculator.update(piece));
  const steps = calculator.finish();
  try {
    for (;;) {
      const { done, value } = steps.next();
      if (done === true) return value;
    }
  } catch (error) {
    if (!(error instanceof TarInvalidError)) throw error;
    return error.message;
  }
}

const xattr = (key: string, value: string) => [`SCHILY.xattr.${key}`, value] as const;

describe('TarsumCalculator', () => {
  const OWNED = { uid: 1000, gid: 1000, uname: 'slartibartfast', gname: 'users' };

  describe('the vectors of 2015', () => {
    it.each([
      [
        'no entry',
        'tarsum.v1+sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
        Buffer.of(),
      ],
      [
        'one empty file',
        'tarsum+sha256:626c4a2e9a467d65c33ae81f7f3dedd4de8ccaee72af73223c4bc4718cbc7bbd',
        tarEntry({ name: 'file.txt', typeflag: '0' }),
      ],
      [
        'a mebibyte of zeros',
        'tarsum+sha256:8bf12d7e67c51ee2e8306cba569398b1b9f419969521a12ffb9d8875e8836738',
        tarEntry({ name: '/testdata0', typeflag: '\0', mode: 0o755, body: Buffer.alloc(1024 * 1024) }),
      ],
      [
        'an owner',
        'tarsum.v1+sha256:b38166c059e11fb77bef30bf16fba7584446e80fcc156ff46d47e36c5305d8ef',
        tarEntry({ ...OWNED, name: 'another.txt', body: Buffer.from('test') }),
      ],
      [
        'extended attributes',
        'tarsum.v1+sha256:4cc2e71ac5d31833ab2be9b4f7842a14ce595ec96a37af4ed08f87bc374228cd',
        Buffer.concat([
          paxHeader([xattr('user.key1', 'value1'), xattr('user.key2', 'value2')]),
          tarEntry({ ...OWNED, name: 'xattrs.txt', body: Buffer.from('test') }),
        ]),
      ],
    ])('%s: %s', (_, expected, entries) => {
      const algorithm = expected.startsWith(`${VERSION_0}:`) ? VERSION_0 : VERSION_1;
      expect(sum(algorithm, entries)).toBe(expected);
      expect(sum(algorithm, entries, TAR_END)).toBe(expected);
      expect(sum(algorithm, tarOf(entries), Buffer.alloc(10_240))).toBe(expected);
    });
  });

  describe('reads a header:', () => {
    const body = Buffer.from('body');
    const base256 = (value: bigint, length: number) => {
      const bytes = Buffer.from(value.toString(16).padStart(2 * length, '0'), 'hex');
      bytes.writeUInt8(bytes.readUInt8(0) | 0x80, 0);
      return bytes;
    };
    const star = { 345: 'p'.repeat(131), 476: '0'.repeat(12), 508: 'tar\0' };

    it.each<[string, TarFields, TarFields]>([
      ['v7 has no owner', { uname: 'u', gname: 'g', patches: { 257: Buffer.alloc(8) } }, {}],
      ['GNU has one', { uname: 'u', gname: 'g', patches: { 257: 'ustar  \0' } }, { uname: 'u', gname: 'g' }],
      ['an unknown version has none', { uname: 'u', patches: { 257: 'ustar\x0001' } }, {}],
      ['a prefix', { patches: { 345: 'some/where' } }, { name: 'some/where/file' }],
      ['a prefix of GNU', { patches: { 257: 'ustar  \0', 345: 'some' } }, { name: 'some/file' }],
      ['a prefix of star', { patches: star }, { name: `${'p'.repeat(131)}/file` }],
      ['a prefix of 155 bytes', { patches: { 345: 'p'.repeat(155) } }, { name: `${'p'.repeat(155)}/file` }],
      ['a name of 100 bytes', { name: 'n'.repeat(100) }, { name: 'n'.repeat(100) }],
      ['a name is kept as it is', { name: './file/' }, { name: './file/' }],
      ['bytes that are no UTF-8', { name: '\xff\xc3', uname: '\x80' }, { name: '\xff\xc3', uname: '\x80' }],
      ['text ends at a NUL', { name: 'a\0b', linkname: 'c\0d' }, { name: 'a', linkname: 'c' }],
      ['the numbers of a device', { typeflag: '3', devmajor: 8 }, { typeflag: '3', devmajor: 8 }],
      ['those of other types do not count', { devmajor: 8, devminor: 1 }, {}],
      ['every type has a body', { typeflag: '5' }, { typeflag: '5' }],
      ['also a global PAX header', { typeflag: 'g' }, { typeflag: 'g' }],
      ['eight digits', { patches: { 100: '00000644' } }, { mode: 0o644 }],
      ['spaces around digits', { patches: { 100: '  644 \0 ' } }, { mode: 0o644 }],
      ['an empty number', { patches: { 100: ' \0\0\0\0\0\0 ' } }, {}],
      ['base 256', { patches: { 108: base256(0x7fffffn, 8) } }, { uid: 0x7fffff }],
      ['base 256 has 64 bits', { patches: { 136: base256(2n ** 64n + 5n, 12) } }, { mtime: 5 }],
      ['base 256 can be negative', { patches: { 136: base256(2n ** 64n - 5n, 12) } }, { mtime: -5 }],
      ['a checksum of signed bytes', { name: '\xff\xfe', isSigned: true }, { name: '\xff\xfe' }],
    ])('%s', (_, fields, expected) => {
      const entry = tarEntry({ name: 'file', body, ...fields });
      expect(sum(VERSION_0, entry)).toBe(tarsumOf(0, [{ name: 'file', body, ...expected }]));
      expect(sum(VERSION_1, entry)).toBe(tarsumOf(1, [{ name: 'file', body, ...expected }]));
    });
  });

  describe('reads what precedes a header:', () => {
    const body = Buffer.from('body');
    const pax = (...records: (readonly [string, string])[]) => paxHeader(records);
    const long = (typeflag: 'L' | 'K', text: string) => longHeader(typeflag, text);

    it.each<[string, Buffer[], TarFields]>([
      [
        'PAX records',
        [
          pax(
            ...([
              ['path', 'p\xe4th'],
              ['linkpath', 'link'],
              ['uname', 'u'],
              ['gname', 'g'],
              ['uid', '5000000'],
              ['gid', '-1'],
              ['mtime', '12.75'],
              ['comment', 'ignored'],
            ] as const),
          ),
        ],
        {
          name: 'p\xe4th',
          linkname: 'link',
          uname: 'u',
          gname: 'g',
          uid: 5_000_000,
          gid: -1,
          mtime: 12,
        },
      ],
      ['the last record of a key', [pax(['path', 'a'], ['path', 'b'])], { name: 'b' }],
      ['a value with = and newlines', [pax(['path', 'a=\nb'])], { name: 'a=\nb' }],
      ['a negative time', [pax(['mtime', '-3.5'])], { mtime: -3 }],
      ['a long name', [long('L', 'l'.repeat(300))], { name: 'l'.repeat(300) }],
      ['a long link', [long('K', 'k'.repeat(300))], { linkname: 'k'.repeat(300) }],
      ['both', [long('K', 'k'), long('L', 'l')], { name: 'l', linkname: 'k' }],
      ['the first of two long names', [long('L', 'a'), long('L', 'b')], { name: 'a' }],
      [
        'a long name overrides PAX',
        [long('L', 'l'), pax(['path', 'p'], ['uname', 'u'])],
        { name: 'l', uname: 'u' },
      ],
    ])('%s', (_, before, expected) => {
      const tar = tarOf(...before, tarEntry({ name: 'file', body }), tarEntry({ name: 'next' }));
      const entries = [{ name: 'file', body, ...expected }, { name: 'next' }];
      expect(sum(VERSION_0, tar)).toBe(tarsumOf(0, entries));
      expect(sum(VERSION_1, tar)).toBe(tarsumOf(1, entries));
    });

    it('a size in a PAX record is that of the body', () => {
      const tar = tarOf(pax(['size', '4']), tarEntry({ name: 'file', body, size: 0 }));
      expect(sum(VERSION_1, tar)).toBe(tarsumOf(1, [{ name: 'file', body }]));
    });

    it('extended attributes count in version 1, sorted, with any bytes', () => {
      const xattrs = [
        ['user.b', '2'],
        ['security.capability', '\x01\0\0\xff='],
        ['user.a', ''],
      ] as const;
      const tar = tarOf(
        paxHeader(xattrs.map(([key, value]) => xattr(key, value))),
        tarEntry({ name: 'file' }),
      );
      expect(sum(VERSION_1, tar)).toBe(tarsumOf(1, [{ name: 'file' }], [xattrs]));
      expect(sum(VERSION_0, tar)).toBe(tarsumOf(0, [{ name: 'file' }]));
    });
  });

  describe('has no tarsum for', () => {
    const file = tarEntry({ name: 'file', body: Buffer.from('body') });
    const pax = (body: string) => tarEntry({ typeflag: 'x', body: Buffer.from(body, 'latin1') });
    const changed = (position: number) => {
      const entry = Buffer.from(file);
      entry.writeUInt8(entry.readUInt8(position) ^ 1, position);
      return entry;
    };

    it.each<[string, Buffer, string]>([
      ['a compressed tar', gzipSync(tarOf(file)), 'truncated'],
      ['any bytes', Buffer.alloc(1024, 0x31), 'wrong checksum'],
      ['a wrong checksum', changed(0), 'checksum'],
      ['a number that is not octal', tarEntry({ patches: { 100: '0000648\0' } }), 'not octal'],
      ['digits after a NUL and spaces', tarEntry({ patches: { 100: '12 \0\0\0 5' } }), 'not octal'],
      ['a truncated header', file.subarray(0, 511), 'truncated'],
      ['a truncated body', file.subarray(0, 514), 'truncated'],
      ['missing padding', file.subarray(0, -1), 'truncated'],
      ['a negative size', tarEntry({ patches: { 124: Buffer.alloc(12, 0xff) } }), 'negative size'],
      [
        'a size of 2^60',
        tarEntry({ patches: { 124: Buffer.from('800000001000000000000000', 'hex') } }),
        'large',
      ],
      ['bytes behind the end', Buffer.concat([tarOf(file), file]), 'behind the end'],
      [
        'a byte far behind the end',
        Buffer.concat([tarOf(file), Buffer.alloc(99_999), Buffer.of(1)]),
        'behind',
      ],
      ['a path that occurs twice', tarOf(file, file), 'twice'],
      ['one path in two forms', tarOf(tarEntry({ name: './a/' }), tarEntry({ name: 'a' })), 'twice'],
      ['a sparse file of GNU', tarOf(tarEntry({ typeflag: 'S' })), 'sparse'],
      ['a sparse file of PAX', tarOf(pax(paxRecord('GNU.sparse.major', '1')), file), 'sparse'],
      [
        'PAX, then PAX',
        tarOf(pax(paxRecord('path', 'p')), pax(paxRecord('path', 'q')), file),
        'no entry follows',
      ],
      ['PAX, then a long name', tarOf(pax(''), longHeader('L', 'l'), file), 'no entry follows'],
      ['PAX without an entry', tarOf(pax(paxRecord('path', 'p'))), 'no entry follows'],
      ['a long name without an entry', longHeader('L', 'l'), 'no entry follows'],
      ['a PAX record without a length', tarOf(pax('path=p\n'), file), 'malformed'],
      ['a PAX record without =', tarOf(pax('8 path\n'), file), 'malformed'],
      ['a PAX record without an end', tarOf(pax('9 path=p '), file), 'malformed'],
      ['a PAX record that is too long', tarOf(pax('99 path=p\n'), file), 'malformed'],
      ['a PAX record of no length', tarOf(pax('0 path=p\n'), file), 'malformed'],
      ['a PAX number with letters', tarOf(pax(paxRecord('uid', '1a')), file), 'malformed'],
      ['a PAX number of 65 bits', tarOf(pax(paxRecord('uid', '18446744073709551616')), file), 'malformed'],
      ['a PAX time with two points', tarOf(pax(paxRecord('mtime', '1.2.3')), file), 'malformed'],
      ['a negative PAX size', tarOf(pax(paxRecord('size', '-4')), file), 'negative size'],
      [
        'more PAX records than one step may look at',
        tarOf(pax(Array.from({ length: 1025 }, (_, n) => paxRecord(`k${n}`, 'v')).join('')), file),
        'more than 1024 records',
      ],
      ['a PAX header of 2 MiB', tarEntry({ typeflag: 'x', size: 2 * 1024 * 1024 }), 'larger than 1048576'],
      ['a long name of 2 MiB', tarEntry({ typeflag: 'L', size: 2 * 1024 * 1024 }), 'larger than 1048576'],
    ])('%s', (_, tar, reason) => {
      expect(sum(VERSION_1, tar)).toMatch(reason);
    });

    it('pieces after a failure, whatever they are', () => {
      expect(sum(VERSION_1, changed(0), tarOf(file), Buffer.alloc(512, 1))).toMatch('checksum');
    });
  });

  describe('properties', () => {
    const text = (maxLength: number) =>
      fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes).toString('latin1').replaceAll('\0', ''));
    const entry = fc.record({
      name: fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'd', 'e'), minLength: 1, maxLength: 40 }),
      mode: fc.integer({ min: 0, max: 0o7777 }),
      uid: fc.nat(100_000),
      gid: fc.nat(100_000),
      mtime: fc.nat(),
      typeflag: fc.constantFrom('0', '\0', '1', '2', '3', '5', '7', 'g'),
      linkname: text(90),
      uname: text(30),
      gname: text(30),
      body: fc.uint8Array({ maxLength: 1500 }),
      xattrs: fc.uniqueArray(
        fc.tuple(
          text(10).map((key) => key.replaceAll('=', '')),
          text(20),
        ),
        {
          selector: ([key]) => key,
          maxLength: 3,
        },
      ),
    });
    const entries = fc.uniqueArray(entry, { selector: ({ name }) => name, maxLength: 6 });
    const inTar = ({ xattrs, ...fields }: typeof entry extends fc.Arbitrary<infer E> ? E : never) =>
      Buffer.concat([
        ...(xattrs.length > 0 ? [paxHeader(xattrs.map(([key, value]) => xattr(key, value)))] : []),
        tarEntry(fields),
      ]);
    const cutAt = (tar: Buffer, cuts: number[]) => {
      const ends = [0, ...cuts.map((cut) => cut % (tar.length + 1)).sort((a, b) => a - b), tar.length];
      return ends.slice(1).map((end, index) => tar.subarray(ends[index], end));
    };

    it('any order of entries and any cuts give the tarsum of the definition', () => {
      const shuffled = entries.chain((all) =>
        fc.tuple(
          fc.constant(all),
          fc.shuffledSubarray(all, { minLength: all.length }),
          fc.array(fc.nat(20_000)),
        ),
      );
      fc.assert(
        fc.property(shuffled, fc.constantFrom(0 as const, 1 as const), ([all, order, cuts], version) => {
          const pieces = cutAt(tarOf(...order.map(inTar)), cuts);
          const expected = tarsumOf(
            version,
            all,
            all.map(({ xattrs }) => xattrs),
          );
          expect(sum(BOTH[version], ...pieces)).toBe(expected);
        }),
      );
    });

    it('version 0 has the time, version 1 does not', () => {
      fc.assert(
        fc.property(entry, fc.nat(), (fields, mtime) => {
          fc.pre(fields.mtime !== mtime);
          const other = { ...fields, mtime };
          expect(sum(VERSION_1, inTar(other))).toBe(sum(VERSION_1, inTar(fields)));
          expect(sum(VERSION_0, inTar(other))).not.toBe(sum(VERSION_0, inTar(fields)));
        }),
      );
    });

    it('a changed byte gives a tarsum or a reason, and no other error', () => {
      fc.assert(
        fc.property(entries, fc.nat(), fc.integer({ min: 1, max: 255 }), (all, at, change) => {
          const tar = tarOf(...all.map(inTar));
          const position = at % tar.length;
          tar.writeUInt8(tar.readUInt8(position) ^ change, position);
          for (const algorithm of BOTH) expect(typeof sum(algorithm, tar)).toBe('string');
        }),
      );
    });
  });
});

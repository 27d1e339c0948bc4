import { createHash } from 'node:crypto';

/** The fields of an entry; text has one character per byte. What is left out is zero or empty. */
export interface TarFields {
  readonly name?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly typeflag?: string;
  readonly linkname?: string;
  readonly uname?: string;
  readonly gname?: string;
  readonly devmajor?: number;
  readonly devminor?: number;
  readonly body?: Uint8Array;
  /** Bytes that replace those of the header, by their position; the checksum fits afterwards. */
  readonly patches?: Readonly<Record<number, string | Buffer>>;
  /** The checksum is that of signed bytes. */
  readonly isSigned?: boolean;
  /** The size in the header, where it is not that of the body. */
  readonly size?: number;
}

const octal = (value: number, length: number) => `${value.toString(8).padStart(length - 1, '0')}\0`;

/** A ustar header with its body, padded. */
export function tarEntry(fields: TarFields): Buffer {
  const { body = Buffer.of(), patches = {}, size = body.length } = fields;
  const header = Buffer.alloc(512);
  const put = (position: number, text: string | Buffer) =>
    header.set(typeof text === 'string' ? Buffer.from(text, 'latin1') : text, position);
  put(0, fields.name ?? '');
  put(100, octal(fields.mode ?? 0, 8));
  put(108, octal(fields.uid ?? 0, 8));
  put(116, octal(fields.gid ?? 0, 8));
  put(124, octal(size, 12));
  put(136, octal(fields.mtime ?? 0, 12));
  put(156, fields.typeflag ?? '0');
  put(157, fields.linkname ?? '');
  put(257, 'ustar\x0000');
  put(265, fields.uname ?? '');
  put(297, fields.gname ?? '');
  put(329, octal(fields.devmajor ?? 0, 8));
  put(337, octal(fields.devminor ?? 0, 8));
  for (const [position, text] of Object.entries(patches)) put(Number(position), text);
  put(148, octal(checksum(header, fields.isSigned), 8));
  return Buffer.concat([header, body, Buffer.alloc(-body.length & 511)]);
}

function checksum(header: Buffer, isSigned = false): number {
  const bytes = [...(isSigned ? new Int8Array(header) : header)];
  return bytes.reduce((sum, byte, index) => sum + (index >= 148 && index < 156 ? 32 : byte), 0);
}

/** A PAX header for the entry that follows. */
export function paxHeader(records: readonly (readonly [string, string])[], name = 'pax'): Buffer {
  const body = records.map(([key, value]) => paxRecord(key, value)).join('');
  return tarEntry({ name, typeflag: 'x', body: Buffer.from(body, 'latin1') });
}

export function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return `${length}${rest}`;
}

/** A GNU header with the long name (`L`) or link (`K`) of the entry that follows. */
export function longHeader(typeflag: 'L' | 'K', text: string): Buffer {
  return tarEntry({ name: '././@LongLink', typeflag, body: Buffer.from(`${text}\0`, 'latin1') });
}

export const TAR_END = Buffer.alloc(1024);

export function tarOf(...entries: Buffer[]): Buffer {
  return Buffer.concat([...entries, TAR_END]);
}

/** A tarsum by its definition, of fields that need no parser. */
export function tarsumOf(
  version: 0 | 1,
  entries: readonly TarFields[],
  xattrs: readonly (readonly (readonly [string, string])[])[] = [],
): string {
  const sums = entries.map((fields, index) => entrySum(version, fields, xattrs[index] ?? []));
  const sum = createHash('sha256').update(sums.sort().join('')).digest('hex');
  return `tarsum${version === 0 ? '' : '.v1'}+sha256:${sum}`;
}

function entrySum(version: 0 | 1, fields: TarFields, xattrs: readonly (readonly [string, string])[]): string {
  const { body = Buffer.of() } = fields;
  const pairs: (readonly [string, unknown])[] = [
    ['name', fields.name ?? ''],
    ['mode', fields.mode ?? 0],
    ['uid', fields.uid ?? 0],
    ['gid', fields.gid ?? 0],
    ['size', body.length],
    ...(version === 0 ? ([['mtime', fields.mtime ?? 0]] as const) : []),
    ['typeflag', fields.typeflag ?? '0'],
    ['linkname', fields.linkname ?? ''],
    ['uname', fields.uname ?? ''],
    ['gname', fields.gname ?? ''],
    ['devmajor', fields.devmajor ?? 0],
    ['devminor', fields.devminor ?? 0],
    ...(version === 0 ? [] : xattrs.toSorted(([a], [b]) => (a < b ? -1 : 1))),
  ];
  const header = pairs.flat().join('');
  return createHash('sha256').update(header, 'latin1').update(body).digest('hex');
}

import type { PaxRecords } from './pax-records.js';
import type { TarHeader } from './tar-header.js';
import { parsePaxNumber, parsePaxSeconds, parseSize } from './tar-number.js';
import { TarInvalidError } from './tar.errors.js';

/** A header with what the headers before it say about it. */
export interface TarEntry extends TarHeader {
  /** The records `SCHILY.xattr.<key>` of its PAX header, by key. */
  readonly xattrs: PaxRecords;
}

/** What headers say about the entry that follows them. */
export interface Extensions {
  readonly pax?: PaxRecords;
  /** GNU: override the PAX records. */
  readonly name?: string;
  readonly linkname?: string;
}

const XATTR = 'SCHILY.xattr.';

/** @throws TarInvalidError */
export function toTarEntry(header: TarHeader, { pax, name, linkname }: Extensions): TarEntry {
  expectNotSparse(header, pax);
  return {
    ...header,
    ...(pax !== undefined && fieldsOf(pax)),
    ...(name !== undefined && { name }),
    ...(linkname !== undefined && { linkname }),
    xattrs: pax === undefined ? NONE : xattrsOf(pax),
  };
}

const NONE: PaxRecords = new Map();

function fieldsOf(pax: PaxRecords): Partial<TarHeader> {
  const [name, linkname] = [pax.get('path'), pax.get('linkpath')];
  const [uname, gname] = [pax.get('uname'), pax.get('gname')];
  const [uid, gid] = [pax.get('uid'), pax.get('gid')];
  const [size, mtime] = [pax.get('size'), pax.get('mtime')];
  return {
    ...(name !== undefined && { name }),
    ...(linkname !== undefined && { linkname }),
    ...(uname !== undefined && { uname }),
    ...(gname !== undefined && { gname }),
    ...(uid !== undefined && { uid: parsePaxNumber(uid) }),
    ...(gid !== undefined && { gid: parsePaxNumber(gid) }),
    ...(size !== undefined && { size: parseSize(parsePaxNumber(size)) }),
    ...(mtime !== undefined && { mtime: parsePaxSeconds(mtime) }),
  };
}

function xattrsOf(pax: PaxRecords): PaxRecords {
  const xattrs = [...pax].filter(([key]) => key.startsWith(XATTR));
  return new Map(xattrs.map(([key, value]) => [key.slice(XATTR.length), value]));
}

/** The body of a sparse file is not its content. */
function expectNotSparse({ typeflag }: TarHeader, pax: PaxRecords = NONE): void {
  if (typeflag === 'S' || [...pax.keys()].some((key) => key.startsWith('GNU.sparse.'))) {
    throw new TarInvalidError('an entry is a sparse file');
  }
}

import { LRUCache } from 'lru-cache';
import type { DataSource } from 'typeorm';
import { queryRows } from '../database/query-rows.js';
import type { Digest } from '../oci/digest.js';

/** A row of `manifests`, and what its bytes are. */
export interface ManifestRow {
  readonly id: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
}

const CACHE_BYTES = 16 * 1024 * 1024;
/** One giant must not drive out all others. Above this, where manifests hardly ever are, each pull takes a second query for the bytes. */
const MAX_ENTRY_BYTES = CACHE_BYTES / 16;
/** Bytes come as text from Postgres, twice as long: decoding much more at once would delay other requests. */
const PIECE_BYTES = 1024 * 1024;
/** What an entry costs beside its bytes, roughly. */
const ENTRY_BYTES = 512;

/**
 * The bytes of manifests. Those of a digest never change, so they may be remembered, and most pulls are of a few manifests; so
 * may those of a row be shared while they are on their way. Whether a repository has the manifest was asked before.
 */
export class ManifestContents {
  private readonly known = new LRUCache<Digest, Buffer>({
    maxSize: CACHE_BYTES,
    maxEntrySize: MAX_ENTRY_BYTES,
    sizeCalculation: (content) => content.length + ENTRY_BYTES,
  });
  private readonly coming = new Map<string, Promise<Buffer | undefined>>();

  constructor(private readonly dataSource: DataSource) {}

  /** Nothing where the row isn't there any more. */
  async get(row: ManifestRow): Promise<Buffer | undefined> {
    return this.known.get(row.digest) ?? this.coming.get(row.id) ?? this.fetch(row);
  }

  private fetch(row: ManifestRow): Promise<Buffer | undefined> {
    const coming = this.load(row).finally(() => this.coming.delete(row.id));
    this.coming.set(row.id, coming);
    return coming;
  }

  private async load(row: ManifestRow): Promise<Buffer | undefined> {
    const pieces: Buffer[] = [];
    for (let at = 0; at === 0 || at < row.sizeBytes; at += PIECE_BYTES) {
      const piece = await this.loadPiece(row, at);
      if (piece === undefined) return undefined;
      pieces.push(piece);
    }
    const [first, ...others] = pieces;
    const content =
      first !== undefined && others.length === 0 ? withMemoryOfItsOwn(first) : Buffer.concat(pieces);
    this.known.set(row.digest, content);
    return content;
  }

  private async loadPiece({ id }: ManifestRow, at: number): Promise<Buffer | undefined> {
    const sql = 'SELECT substring(content FROM $2::int FOR $3::int) AS piece FROM manifests WHERE id = $1';
    const parameters = [id, at + 1, PIECE_BYTES];
    const [row] = await queryRows<{ piece: Buffer }>(this.dataSource.manager, sql, parameters);
    return row?.piece;
  }
}

/** What `pg` hands over may be a slice of memory that Node shares out, all of which would be kept as long as the slice is. */
function withMemoryOfItsOwn(bytes: Buffer): Buffer {
  if (bytes.buffer.byteLength === bytes.length) return bytes;
  const own = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(own);
  return own;
}

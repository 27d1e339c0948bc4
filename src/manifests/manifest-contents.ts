import { LRUCache } from 'lru-cache';
import type { DataSource } from 'typeorm';
import { queryRows } from '../database/query-rows.js';
import type { Digest } from '../oci/digest.js';

/** A row of `live_manifests`, with the digest and size of its bytes. */
export interface ManifestRow {
  readonly id: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
}

const CACHE_BYTES = 16 * 1024 * 1024;
/** A huge manifest must not evict all others. Above this size, which is rare, each pull queries the bytes. */
const MAX_ENTRY_BYTES = CACHE_BYTES / 16;
/** `pg` decodes bytes from text of twice the length. Larger pieces would block the event loop. */
const PIECE_BYTES = 1024 * 1024;
/** Approximate overhead of an entry. */
const ENTRY_BYTES = 512;

/**
 * Reads the bytes of manifests, through a cache: the bytes of a digest never change, and most pulls are of a
 * few manifests. Concurrent reads of one row share a query. The caller has checked that the repository has
 * the manifest.
 */
export class ManifestContents {
  private readonly cached = new LRUCache<Digest, Buffer>({
    maxSize: CACHE_BYTES,
    maxEntrySize: MAX_ENTRY_BYTES,
    sizeCalculation: (content) => content.length + ENTRY_BYTES,
  });
  private readonly reads = new Map<string, Promise<Buffer | undefined>>();

  constructor(private readonly dataSource: DataSource) {}

  /** Returns undefined if the manifest was deleted. */
  async get(row: ManifestRow): Promise<Buffer | undefined> {
    return this.cached.get(row.digest) ?? this.reads.get(row.id) ?? this.fetch(row);
  }

  private fetch(row: ManifestRow): Promise<Buffer | undefined> {
    const read = this.load(row).finally(() => this.reads.delete(row.id));
    this.reads.set(row.id, read);
    return read;
  }

  private async load(row: ManifestRow): Promise<Buffer | undefined> {
    const pieces: Buffer[] = [];
    for (let at = 0; at === 0 || at < row.sizeBytes; at += PIECE_BYTES) {
      const piece = await this.loadPiece(row, at);
      if (piece === undefined) return undefined;
      pieces.push(piece);
    }
    const [first, ...others] = pieces;
    const content = first !== undefined && others.length === 0 ? withOwnMemory(first) : Buffer.concat(pieces);
    this.cached.set(row.digest, content);
    return content;
  }

  private async loadPiece({ id }: ManifestRow, at: number): Promise<Buffer | undefined> {
    const sql =
      'SELECT substring(content FROM $2::int FOR $3::int) AS piece FROM live_manifests WHERE id = $1';
    const parameters = [id, at + 1, PIECE_BYTES];
    const [row] = await queryRows<{ piece: Buffer }>(this.dataSource.manager, sql, parameters);
    return row?.piece;
  }
}

/** `pg` may return a slice of a larger buffer. Caching the slice would keep the whole buffer in memory. */
function withOwnMemory(bytes: Buffer): Buffer {
  if (bytes.buffer.byteLength === bytes.length) return bytes;
  const own = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(own);
  return own;
}

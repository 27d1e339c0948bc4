import { Injectable, Logger } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { BlobStore } from '../../blobs/blob.store.js';
import { SmallBlobs } from '../../blobs/small-blobs.js';
import { mapBounded } from '../../common/map-bounded.js';
import { ListQueries } from '../../database/list-queries.js';
import type { Digest } from '../../oci/digest.js';
import type { RepositoryName } from '../../oci/repository-name.js';
import { nextTurn } from '../../oci/time-slices.js';
import { configOf, platformOf, platformsOf } from './platform.js';

export interface ManifestOfImage {
  /** Of its row. */
  readonly id: string;
  readonly digest: Digest;
  readonly manifestSizeBytes: number;
}

/** Larger manifests and configs are rare; their platforms are not read. */
const MAX_MANIFEST_BYTES = 64 * 1024;
/** Maximum size of the manifests that are read for one page. */
const MAX_PAGE_BYTES = 4 * 1024 * 1024;
const MAX_CONCURRENT_READS = 8;
const CACHED_MANIFESTS = 10_000;

/** A row of `live_manifests`. */
interface ContentRow {
  readonly digest: Digest;
  readonly content: Buffer;
}

/**
 * Reads the platforms of manifests: those that an index lists, or that of an image's config. The content of a
 * digest never changes, so the results are cached; a page that was shown before costs nothing.
 */
@Injectable()
export class ImagePlatforms {
  private readonly logger = new Logger(ImagePlatforms.name);
  private readonly cached = new LRUCache<Digest, string[]>({ max: CACHED_MANIFESTS });

  constructor(
    private readonly lists: ListQueries,
    private readonly blobs: BlobStore,
    private readonly small: SmallBlobs,
  ) {}

  /** The platforms by digest. Empty if they are unknown, also if the storage fails. */
  async of(
    repository: RepositoryName,
    manifests: readonly ManifestOfImage[],
  ): Promise<ReadonlyMap<Digest, string[]>> {
    const unknown = manifests.filter(({ digest }) => !this.cached.has(digest));
    await this.learn(repository, await this.contentsOf(unknown));
    return new Map(manifests.map(({ digest }) => [digest, this.cached.get(digest) ?? []]));
  }

  private async contentsOf(manifests: readonly ManifestOfImage[]): Promise<ContentRow[]> {
    let bytes = 0;
    const ids = manifests.flatMap(({ id, manifestSizeBytes }) => {
      if (manifestSizeBytes > MAX_MANIFEST_BYTES) return [];
      bytes += manifestSizeBytes;
      return bytes > MAX_PAGE_BYTES ? [] : [id];
    });
    if (ids.length === 0) return [];
    const sql = 'SELECT digest, content FROM live_manifests WHERE id = ANY ($1)';
    return this.lists.run(sql, [[...new Set(ids)]]);
  }

  private async learn(repository: RepositoryName, rows: readonly ContentRow[]): Promise<void> {
    const configs = new Map<Digest, Digest>();
    for (const { digest, content } of rows) {
      // Other requests are served between two manifests.
      await nextTurn();
      const config = configOf(content);
      if (config === undefined) this.cached.set(digest, platformsOf(content));
      else configs.set(digest, config);
    }
    if (configs.size === 0) return;
    const blobs = await this.blobs.findAllLinked(repository, [...new Set(configs.values())]);
    await mapBounded([...configs], MAX_CONCURRENT_READS, async ([digest, config]) => {
      const blob = blobs.get(config);
      const content =
        blob &&
        (await this.small.get(blob, {}).catch((error: unknown) => {
          this.logger.debug({ err: error }, 'cannot read the config of an image');
          return undefined;
        }));
      const platform = content && platformOf(content);
      // Not cached if the config can't be read now.
      if (content !== undefined) this.cached.set(digest, platform === undefined ? [] : [platform]);
    });
  }
}

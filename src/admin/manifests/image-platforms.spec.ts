import { describe, expect, it } from '@jest/globals';
import type { BlobStore } from '../../blobs/blob.store.js';
import type { SmallBlobs } from '../../blobs/small-blobs.js';
import type { ListQueries } from '../../database/list-queries.js';
import { parseDigest } from '../../oci/digest.js';
import { parseRepositoryName } from '../../oci/repository-name.js';
import { ImagePlatforms } from './image-platforms.js';

const COUNT = 50;

describe('ImagePlatforms', () => {
  it('serves other requests while it reads the manifests of a page', async () => {
    const platform = { os: 'linux', architecture: 'arm64' };
    const content = Buffer.from(JSON.stringify({ manifests: [{ platform }] }));
    const rows = Array.from({ length: COUNT }, (_, n) => ({
      id: String(n),
      digest: parseDigest(`sha256:${n.toString(16).padStart(64, '0')}`),
      manifestSizeBytes: content.length,
      content,
    }));
    const lists = { run: () => Promise.resolve(rows) } as unknown as ListQueries;
    const platforms = new ImagePlatforms(lists, {} as BlobStore, {} as SmallBlobs);

    let turns = 0;
    let immediate = setImmediate(function count() {
      turns += 1;
      immediate = setImmediate(count);
    });
    const found = await platforms.of(parseRepositoryName('a'), rows);
    clearImmediate(immediate);

    expect([...found.values()]).toEqual(rows.map(() => ['linux/arm64']));
    expect(turns).toBeGreaterThanOrEqual(COUNT - 1);
  });
});

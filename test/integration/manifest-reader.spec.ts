import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ManifestUnsettledError } from '../../src/manifests/manifest.errors.js';
import { ManifestReader } from '../../src/manifests/manifest.reader.js';
import { parseReference } from '../../src/oci/reference.js';
import { parseRepositoryName } from '../../src/oci/repository-name.js';
import { interposedQueries } from '../support/interposed-queries.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { freshName } from '../support/fresh-name.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';

const LATEST = parseReference('latest');

describe('a manifest', () => {
  let berth: TestBerth;
  let client: RegistryClient;

  beforeAll(async () => {
    berth = await startTestBerth();
    client = new RegistryClient(berth.url);
  });
  afterAll(() => berth.dispose());

  const imageOf = async (name: string, version: string) =>
    JSON.stringify(await client.makeImage(name, ['l'], { annotations: { version } }));

  const push = async (name: string, image: string, reference = 'latest') => {
    expect((await client.putManifest(name, reference, image)).status).toBe(201);
  };

  const remove = async (name: string, reference: string) => {
    const deleted = await client.fetch(`/v2/${name}/manifests/${reference}`, { method: 'DELETE' });
    expect(deleted.status).toBe(202);
  };

  /** Creates a repository whose `latest` is `first`, and a reader with an empty cache. */
  const begin = async (before?: (number: number) => Promise<void>) => {
    const name = freshName();
    const [first, second] = [await imageOf(name, '1'), await imageOf(name, '2')];
    await push(name, first);
    const { dataSource, sent } = interposedQueries(berth.database.dataSource, before);
    return { name, first, second, sent, reader: new ManifestReader(dataSource) };
  };

  describe('while it is being replaced', () => {
    /** Calls `change` once, after the reader has resolved the reference and before it reads the bytes. */
    const beginWith = async (change: (setup: { name: string; first: string; second: string }) => unknown) => {
      const setup = await begin(async (number) => {
        if (number === 1) await change(setup);
      });
      return setup;
    };

    it('returns the new manifest if its tag was moved and the old manifest deleted', async () => {
      const { name, second, reader } = await beginWith(async ({ name, first, second }) => {
        await push(name, second);
        await remove(name, digestOf(first));
      });
      const read = await reader.get(parseRepositoryName(name), LATEST);
      expect([read?.digest, String(read?.content)]).toEqual([digestOf(second), second]);
    });

    it('returns a manifest by its digest if it was deleted and pushed again', async () => {
      const { name, first, reader } = await beginWith(async ({ name, first }) => {
        await remove(name, digestOf(first));
        await push(name, first);
      });
      const read = await reader.get(parseRepositoryName(name), parseReference(digestOf(first)));
      expect(String(read?.content)).toBe(first);
    });

    it.each(['latest', 'its digest'])('returns undefined if it was deleted: by %s', async (by) => {
      const { name, first, reader } = await beginWith(({ name, first }) => remove(name, digestOf(first)));
      const reference = by === 'latest' ? LATEST : parseReference(digestOf(first));
      expect(await reader.get(parseRepositoryName(name), reference)).toBeUndefined();
    });

    it('throws a retryable error if the manifest changes in every attempt', async () => {
      const setup = await begin(async (number) => {
        if (number % 2 === 0) return;
        const { name, first, second } = setup;
        const [old, next] = number % 4 === 1 ? [first, second] : [second, first];
        await push(name, next);
        await remove(name, digestOf(old));
      });
      const failure: unknown = await setup.reader
        .get(parseRepositoryName(setup.name), LATEST)
        .catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(ManifestUnsettledError);
      expect(setup.sent).toHaveLength(10);
    });
  });

  it('is fetched once for concurrent readers', async () => {
    const { name, first, sent, reader } = await begin();
    const reads = Array.from({ length: 50 }, () => reader.get(parseRepositoryName(name), LATEST));
    for (const read of await Promise.all(reads)) expect(String(read?.content)).toBe(first);
    expect(sent.map((sql) => sql.includes('content'))).toEqual([false, true]);
  });

  it('is fetched once also for a reader that starts during the fetch', async () => {
    const later: Promise<unknown>[] = [];
    const setup = await begin(async (number) => {
      if (number !== 1) return;
      later.push(setup.reader.get(parseRepositoryName(setup.name), LATEST));
      // Wait until the later read has resolved the reference.
      await setup.reader.head(parseRepositoryName(setup.name), parseReference('latest'));
    });
    await setup.reader.get(parseRepositoryName(setup.name), LATEST);
    await Promise.all(later);
    expect(setup.sent.filter((sql) => sql.includes('content'))).toHaveLength(1);
  });

  it('is cached for all repositories that have it, and its existence is checked each time', async () => {
    const { name, first, sent, reader } = await begin();
    const [other, without] = [freshName(), freshName()];
    await imageOf(other, '1');
    await push(other, first);
    await imageOf(without, '1');
    await reader.get(parseRepositoryName(name), LATEST);
    expect(String((await reader.get(parseRepositoryName(other), LATEST))?.content)).toBe(first);
    expect(sent.filter((sql) => sql.includes('content'))).toHaveLength(1);
    const byDigest = parseReference(digestOf(first));
    expect(await reader.get(parseRepositoryName(without), byDigest)).toBeUndefined();
  });

  it('uses no more memory than its bytes', async () => {
    const { name, first, reader } = await begin();
    for (const _ of ['loaded', 'remembered']) {
      const read = await reader.get(parseRepositoryName(name), LATEST);
      expect(read?.content.buffer.byteLength).toBe(Buffer.byteLength(first));
    }
  });

  it('fails for all reads that share a failed query, and not for later ones', async () => {
    const failure = new Error('the database is gone');
    const { name, first, reader } = await begin(async (number) => {
      if (number === 1) throw failure;
      return Promise.resolve();
    });
    const reads = ['a', 'b'].map(() =>
      reader.get(parseRepositoryName(name), LATEST).catch((error: unknown) => error),
    );
    expect(await Promise.all(reads)).toEqual([failure, failure]);
    expect(String((await reader.get(parseRepositoryName(name), LATEST))?.content)).toBe(first);
  });
});

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

describe('a manifest that is read', () => {
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

  /** A repository whose `latest` is the first of these, and a reader that remembers nothing yet. */
  const begin = async (before?: (number: number) => Promise<void>) => {
    const name = freshName();
    const [first, second] = [await imageOf(name, '1'), await imageOf(name, '2')];
    await push(name, first);
    const { dataSource, sent } = interposedQueries(berth.database.dataSource, before);
    return { name, first, second, sent, reader: new ManifestReader(dataSource) };
  };

  describe('while it is being replaced', () => {
    /**
     * Has something happen once, after the reader was told which manifest it is and before it has the bytes.
     */
    const beginWith = async (
      happening: (ground: { name: string; first: string; second: string }) => unknown,
    ) => {
      const ground = await begin(async (number) => {
        if (number === 1) await happening(ground);
      });
      return ground;
    };

    it('is the new one where its tag was moved and the old one deleted: the tag was there all the time', async () => {
      const { name, second, reader } = await beginWith(async ({ name, first, second }) => {
        await push(name, second);
        await remove(name, digestOf(first));
      });
      const read = await reader.get(parseRepositoryName(name), LATEST);
      expect([read?.digest, String(read?.content)]).toEqual([digestOf(second), second]);
    });

    it('is there by its digest where it was deleted and pushed again', async () => {
      const { name, first, reader } = await beginWith(async ({ name, first }) => {
        await remove(name, digestOf(first));
        await push(name, first);
      });
      const read = await reader.get(parseRepositoryName(name), parseReference(digestOf(first)));
      expect(String(read?.content)).toBe(first);
    });

    it.each(['latest', 'its digest'])('is nothing where it was deleted for good: by %s', async (by) => {
      const { name, first, reader } = await beginWith(({ name, first }) => remove(name, digestOf(first)));
      const reference = by === 'latest' ? LATEST : parseReference(digestOf(first));
      expect(await reader.get(parseRepositoryName(name), reference)).toBeUndefined();
    });

    it('is an error that says “try again”, and no answer, where that goes on for ever', async () => {
      const ground = await begin(async (number) => {
        if (number % 2 === 0) return;
        const { name, first, second } = ground;
        const [old, next] = number % 4 === 1 ? [first, second] : [second, first];
        await push(name, next);
        await remove(name, digestOf(old));
      });
      const failure: unknown = await ground.reader
        .get(parseRepositoryName(ground.name), LATEST)
        .catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(ManifestUnsettledError);
      expect(ground.sent).toHaveLength(10);
    });
  });

  it('is fetched once for all who want it at the same time', async () => {
    const { name, first, sent, reader } = await begin();
    const reads = Array.from({ length: 50 }, () => reader.get(parseRepositoryName(name), LATEST));
    for (const read of await Promise.all(reads)) expect(String(read?.content)).toBe(first);
    expect(sent.map((sql) => sql.includes('content'))).toEqual([false, true]);
  });

  it('is fetched once for who comes while it is on its way, too', async () => {
    const later: Promise<unknown>[] = [];
    const ground = await begin(async (number) => {
      if (number !== 1) return;
      later.push(ground.reader.get(parseRepositoryName(ground.name), LATEST));
      // Until the later one has been told which manifest it is.
      await ground.reader.head(parseRepositoryName(ground.name), parseReference('latest'));
    });
    await ground.reader.get(parseRepositoryName(ground.name), LATEST);
    await Promise.all(later);
    expect(ground.sent.filter((sql) => sql.includes('content'))).toHaveLength(1);
  });

  it('is remembered for every repository that has it, and asked for all the same', async () => {
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

  it('keeps no more memory than its bytes', async () => {
    const { name, first, reader } = await begin();
    for (const _ of ['loaded', 'remembered']) {
      const read = await reader.get(parseRepositoryName(name), LATEST);
      expect(read?.content.buffer.byteLength).toBe(Buffer.byteLength(first));
    }
  });

  it('fails for all who shared it, and not for those who come after, where the database fails', async () => {
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

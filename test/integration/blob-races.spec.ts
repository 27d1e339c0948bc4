import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { parseDigest } from '../../src/oci/digest.js';
import { parseRepositoryName } from '../../src/oci/repository-name.js';
import { UploadCommitStore } from '../../src/uploads/commit/upload-commit.store.js';
import { freshName } from '../support/fresh-name.js';
import { digestOf, refusal, RegistryClient } from '../support/registry-client.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import { CollectorRaces, GRACE_SECONDS } from './support/collector-races.js';
import { LinkRequests, type Statements, type UnneededBlob } from './support/link-requests.js';

/** Status and, of a refusal, its code. */
const outcomeOf = async (response: Response): Promise<string> =>
  response.status < 400 || response.bodyUsed || response.body === null
    ? String(response.status)
    : refusal(response);

/** The rows about blobs of the table of locks (docs/adr/0030), in both orders. */
describe('requests about a blob', () => {
  let berth: TestBerth;
  let client: RegistryClient;
  let races: CollectorRaces;
  let requests: LinkRequests;

  beforeAll(async () => {
    berth = await startTestBerth({ GC_INTERVAL_SECONDS: '0', GC_GRACE_SECONDS: String(GRACE_SECONDS) });
    client = new RegistryClient(berth.url);
    races = new CollectorRaces(berth);
    requests = new LinkRequests(berth);
  });
  afterEach(() => {
    jest.restoreAllMocks();
  });
  afterAll(() => berth.dispose());

  /** The link to one repository is old enough to be collected. */
  const candidate = async (): Promise<UnneededBlob> => {
    const blob = await requests.unneededBlob();
    await races.ageLink(blob, 2);
    return blob;
  };

  describe('beside the collector of links', () => {
    interface LinkRequest {
      readonly what: string;
      readonly send: (blob: UnneededBlob) => Promise<Response>;
      readonly statements: (blob: UnneededBlob) => Promise<Statements> | Statements;
      /** The response if the collector comes first. */
      readonly late: string;
      /** Whether the repository links the blob then. */
      readonly isLinkedAgain?: true;
      /** Whether a manifest needs the link if the request comes first. Otherwise it is renewed. */
      readonly isNeeded?: true;
    }
    const REQUESTS: LinkRequest[] = [
      {
        what: 'a manifest PUT',
        send: (blob) => requests.putImage(blob),
        statements: (blob) => requests.putStatements(blob),
        late: '404 MANIFEST_BLOB_UNKNOWN',
        isNeeded: true,
      },
      {
        what: 'a push of the same blob',
        send: ({ name, content }) => requests.push(name, content),
        statements: (blob) => requests.commitStatements(blob),
        late: '201',
        isLinkedAgain: true,
      },
      {
        what: 'a mount of the same blob',
        send: ({ digest, name, other }) => requests.mount(digest, other, name),
        statements: ({ digest, name, other }) => requests.mountStatements(digest, other, name),
        late: '201',
        isLinkedAgain: true,
      },
      {
        what: 'a HEAD',
        send: (blob) => requests.onBlob(blob, 'HEAD'),
        statements: (blob) => requests.headStatements(blob),
        late: '404',
      },
      {
        what: 'a repeated PUT of the upload',
        send: (blob) => requests.repeatCommit(blob),
        statements: (blob) => requests.repeatStatements(blob),
        late: '404 BLOB_UPLOAD_UNKNOWN',
      },
    ];

    it.each(REQUESTS)('keeps the link if $what comes first', async ({ statements, isNeeded }) => {
      const blob = await candidate();
      const collected: number[] = [];
      await races.whileUncommitted(await statements(blob), async () => {
        collected.push(await races.collect('link'));
      });
      collected.push(await races.collect('link'));
      expect(collected).toEqual([0, 0]);
      const link = await races.linkOf(blob);
      if (isNeeded === true) expect(link).toEqual({ age: null, isHidden: false });
      else expect(link?.age).toBeLessThan(60);
    });

    it.each(REQUESTS)('lets $what wait, which comes later: $late', async ({ send, late, isLinkedAgain }) => {
      const blob = await candidate();
      const response = await races.whileCollecting('link', () => send(blob));
      expect(await outcomeOf(response)).toBe(late);
      const link = await races.linkOf(blob);
      if (isLinkedAgain !== true) expect(link).toBeUndefined();
      else expect(link?.age).toBeLessThan(60);
    });

    it('keeps the source of a mount until the target has the blob', async () => {
      const blob = await candidate();
      const target = parseRepositoryName(freshName('target'));
      const statements = requests.mountStatements(blob.digest, blob.name, target);
      await races.whileUncommitted(statements, async () => {
        expect(await races.collect('link')).toBe(0);
      });
      expect(await races.collect('link')).toBe(1);
      expect(await client.blob(target, blob.digest)).toEqual(Buffer.from(blob.content));
    });

    it('does not mount from a link that is being collected', async () => {
      const blob = await candidate();
      const target = freshName('target');
      const response = await races.whileCollecting('link', () =>
        requests.mount(blob.digest, blob.name, target),
      );
      expect(response.status).toBe(202);
    });

    it.each([
      // Parts of the grace: the age of the link at the HEAD, and whether it takes a statement more.
      [0, false],
      [0.45, false],
      [0.55, true],
      [0.95, true],
      [1.5, true],
    ])('keeps what a HEAD found for half of the grace (at %d of it)', async (age, isRenewed) => {
      const blob = await requests.unneededBlob();
      await races.ageLink(blob, age);
      expect((await requests.onBlob(blob, 'HEAD')).status).toBe(200);
      const renewedAge = isRenewed ? 0 : age * GRACE_SECONDS;
      const link = await races.linkOf(blob);
      expect(Math.abs((link?.age ?? NaN) - renewedAge)).toBeLessThan(60);
      await races.ageLink(blob, 0.499);
      expect(await races.collect('link')).toBe(0);
      expect((await requests.putImage(blob)).status).toBe(201);
    });

    it('does not renew a link that is purged', async () => {
      const blob = await requests.unneededBlob();
      await races.ageLink(blob, Infinity);
      expect((await requests.onBlob(blob, 'HEAD')).status).toBe(404);
      expect(await races.collect('link')).toBe(1);
    });

    it('does not renew a link that a manifest needs', async () => {
      const blob = await candidate();
      expect((await requests.putImage(blob)).status).toBe(201);
      await races.collect('link');
      for (const send of [
        () => requests.onBlob(blob, 'HEAD'),
        () => requests.push(blob.name, blob.content),
        () => requests.repeatCommit(blob),
      ]) {
        expect((await send()).ok).toBe(true);
        expect(await races.linkOf(blob)).toEqual({ age: null, isHidden: false });
      }
    });
  });

  describe('beside the collector of blobs', () => {
    /** A blob that no repository links. */
    const unlinked = async (): Promise<UnneededBlob> => {
      const blob = await requests.unneededBlob();
      for (const name of [blob.name, blob.other]) {
        expect((await requests.onBlob({ ...blob, name }, 'DELETE')).status).toBe(202);
      }
      return blob;
    };
    const keyOf = async (digest: string) => {
      const sql = `SELECT object_key AS key FROM blobs b JOIN blob_digests d ON d.blob_id = b.id
                    WHERE digest = $1`;
      return (await races.query<{ key: string }>(sql, [digest]))[0]?.key;
    };

    it('keeps the blob if a commit comes first', async () => {
      const blob = await unlinked();
      const key = await keyOf(blob.digest);
      await races.whileUncommitted(await requests.commitStatements(blob), async () => {
        expect(await races.collect('blob')).toBe(0);
      });
      expect(await races.collect('blob')).toBe(0);
      expect(await client.blob(blob.name, blob.digest)).toEqual(Buffer.from(blob.content));
      expect(await keyOf(blob.digest)).toBe(key);
    });

    it('makes a new blob of the bytes of a commit that comes later', async () => {
      const blob = await unlinked();
      const key = await keyOf(blob.digest);
      const response = await races.whileCollecting('blob', () => requests.push(blob.name, blob.content));
      expect(response.status).toBe(201);
      expect(await client.blob(blob.name, blob.digest)).toEqual(Buffer.from(blob.content));
      expect(await keyOf(blob.digest)).not.toBe(key);
      expect(await races.query('SELECT digest FROM object_deletions WHERE object_key = $1', [key])).toEqual([
        { digest: blob.digest },
      ]);
    });

    it.each([
      ['is about to be deleted', ''],
      ['was deleted', 'DELETE FROM object_deletions WHERE object_key = $1'],
    ])('makes no blob of an object that %s, if a commit is repeated', async (_, deleteObject) => {
      const name = parseRepositoryName(freshName());
      const content = `committed twice to ${name}`;
      const digest = parseDigest(digestOf(content));
      const store = berth.app.get(UploadCommitStore);
      const commit = store.commit.bind(store);
      jest.spyOn(store, 'commit').mockImplementation(async (...call) => {
        const { blob } = await commit(...call);
        expect(blob).toBeDefined();
        // The response to the statement was lost. Meanwhile the blob goes.
        expect((await requests.onBlob({ name, digest }, 'DELETE')).status).toBe(202);
        expect(await races.collect('blob')).toBe(1);
        if (deleteObject !== '') await races.query(deleteObject, [blob?.objectKey]);
        return commit(...call);
      });
      const location = await client.uploadLocation(name);
      expect(await outcomeOf(await client.commit(location, digest, content))).toBe('404 BLOB_UPLOAD_UNKNOWN');
      jest.restoreAllMocks();
      expect(await keyOf(digest)).toBeUndefined();
      expect(await outcomeOf(await client.commit(location, digest))).toBe('404 BLOB_UPLOAD_UNKNOWN');
      expect((await requests.push(name, content)).status).toBe(201);
      expect(await client.blob(name, digest)).toEqual(Buffer.from(content));
    });
  });
});

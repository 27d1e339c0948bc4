import { readdir } from 'node:fs/promises';
import { afterEach, beforeAll, expect } from '@jest/globals';
import { type RawHeaders, rawRequest } from '../../support/raw-http.js';
import { contentHeaders, digestOf, RegistryClient } from '../../support/registry-client.js';
import { freshName } from '../../support/fresh-name.js';
import { type RunningBerth, sharedBerth } from '../../support/running-berth.js';

export const BLOB = 'stored before';
export const DIGEST = digestOf(BLOB);

/** A repository with a blob, a tag and an open upload. After each test they must be unchanged. */
export function useStoredContent() {
  const name = freshName('bad');
  let berth: RunningBerth;
  let client: RegistryClient;
  let session: string;
  let before: unknown;

  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
    await client.pushBlob(name, BLOB);
    await client.putManifest(name, 'stored', await client.makeImage(name, [BLOB]));
    session = await client.startUpload(name);
    await client.patch(session, 'begun');
    before = await stored();
  });
  afterEach(async () => {
    expect(await stored()).toEqual(before);
  });

  async function stored() {
    const paths = [`blobs/${DIGEST}`, 'manifests/stored', 'tags/list', `referrers/${DIGEST}`];
    const responses = await Promise.all(
      [...paths.map((path) => `/v2/${name}/${path}`), '/v2/_catalog', session].map((path) =>
        client.fetch(path),
      ),
    );
    const contents = responses.map(async (response) => [
      response.status,
      contentHeaders(response),
      await response.text(),
    ]);
    return { contents: await Promise.all(contents), files: await files() };
  }

  async function files(): Promise<string[]> {
    const all = await readdir(berth.dataDir, { recursive: true });
    // Uploads in progress change: tests check them where they matter. The first collection writes the claim.
    return all.filter((path) => !/^storage\/(uploads\/|berth-claim$)/.test(path)).sort();
  }

  return {
    name,
    get berth() {
      return berth;
    },
    get client() {
      return client;
    },
    /** The location of the open upload. */
    get session() {
      return session;
    },
    raw: (method: string, path: string, headers: RawHeaders = [], body: Uint8Array | string = '') =>
      rawRequest(berth.url, method, path, headers, body),
    rangeOf: async (location: string) => (await client.fetch(location)).headers.get('range'),
    /** For a test that stores a blob on purpose. */
    async acceptFiles(): Promise<void> {
      before = { ...(before as object), files: await files() };
    },
    /** For a test that stores content in another repository on purpose. */
    async acceptChanges(): Promise<void> {
      before = await stored();
    },
  };
}

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from '@jest/globals';
import { createAzuriteContainer } from './azurite.js';
import { GcsHarness } from './gcs-server/gcs-harness.js';
import { describeWithRadosgw, freshBucket, sharedRadosgw } from './radosgw.js';

type DriverName = 'filesystem' | 'memory' | 's3' | 'azure' | 'gcs';

/** A storage for one test file. */
export interface TestStorage {
  /** As in `STORAGE_DRIVER`. */
  readonly driver: DriverName;
  /** Settings of every Berth that uses it; set while the tests run. */
  readonly environment: Record<string, string>;
}

interface Opened {
  readonly environment: Record<string, string>;
  dispose(): Promise<void>;
}

const NOTHING = () => Promise.resolve();
const OPENERS: Record<DriverName, () => Promise<Opened>> = {
  filesystem: async () => {
    const root = await mkdtemp(join(tmpdir(), 'berth-e2e-storage-'));
    const dispose = () => rm(root, { recursive: true, force: true });
    return { environment: { STORAGE_FILESYSTEM_ROOT: root }, dispose };
  },
  memory: () => Promise.resolve({ environment: {}, dispose: NOTHING }),
  s3: async () => {
    const server = await sharedRadosgw();
    const environment = {
      STORAGE_S3_ENDPOINT: server.endpoint,
      STORAGE_S3_BUCKET: await freshBucket(server),
      STORAGE_S3_REGION: server.region,
      STORAGE_S3_ACCESS_KEY_ID: server.accessKeyId,
      STORAGE_S3_SECRET_ACCESS_KEY: server.secretAccessKey,
      STORAGE_S3_PART_SIZE_BYTES: '5242880',
    };
    return { environment, dispose: NOTHING };
  },
  azure: async () => {
    const azurite = await createAzuriteContainer();
    const environment = {
      STORAGE_AZURE_CONTAINER: azurite.container,
      STORAGE_AZURE_CONNECTION_STRING: azurite.connectionString(),
      STORAGE_AZURE_PART_SIZE_BYTES: '5242880',
    };
    return { environment, dispose: () => azurite.drop() };
  },
  gcs: async () => {
    // Google's SDK gets its tokens from Google alone: a whole Berth talks to this server as to an emulator.
    const harness = await GcsHarness.start({ auth: false });
    const environment = {
      STORAGE_GCS_BUCKET: harness.bucket,
      STORAGE_GCS_ENDPOINT: harness.server.url,
      STORAGE_GCS_PART_SIZE_BYTES: '5242880',
    };
    return { environment, dispose: () => harness.dispose() };
  },
};

export type Define = (storage: TestStorage) => void;

/**
 * Tests on the object stores, each with a server behind it. Without radosgw those on S3 are skipped, and say
 * so.
 */
export function describeOnObjectStores(title: string, define: Define): void {
  for (const driver of ['s3', 'azure', 'gcs'] as const) describeOn(driver, title, define);
}

/** Tests on the drivers that sign URLs here. The tests' GCS server accepts no key of the registry. */
export function describeOnSigningStorages(title: string, define: Define): void {
  for (const driver of ['s3', 'azure'] as const) describeOn(driver, title, define);
}

/** Tests on one driver, with a storage of their own. */
export function describeOn(driver: DriverName, title: string, define: Define): void {
  const open = OPENERS[driver];
  const describing = driver === 's3' ? describeWithRadosgw : describe;
  describing(`${title}: ${driver}`, () => {
    let opened: Opened | undefined;
    // Redirects have tests of their own.
    const environment: Record<string, string> = { STORAGE_DRIVER: driver, STORAGE_REDIRECT: 'false' };
    beforeAll(async () => {
      opened = await open();
      Object.assign(environment, opened.environment);
    });
    afterAll(() => opened?.dispose());
    define({ driver, environment });
  });
}

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from '@jest/globals';
import { createAzuriteContainer } from './azurite.js';
import { GcsHarness } from './gcs-server/gcs-harness.js';
import { describeWithRadosgw, freshBucket, sharedRadosgw } from './radosgw.js';

type DriverName = 'filesystem' | 'memory' | 's3' | 'azure' | 'gcs';

/** A place for blobs that nobody else uses. */
export interface TestStorage {
  /** As in `STORAGE_DRIVER`. */
  readonly driver: DriverName;
  /** What Berths have in common that share it; set while the tests run. */
  readonly environment: Record<string, string>;
  /** Whether the driver reads back what isn't finished. */
  readonly readsUploads: boolean;
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
    // Google's SDK has its tokens from Google alone, so that a whole Berth asks as it would an emulator.
    const harness = await GcsHarness.start({ auth: false });
    const environment = {
      STORAGE_GCS_BUCKET: harness.bucket,
      STORAGE_GCS_ENDPOINT: harness.server.url,
      STORAGE_GCS_PART_SIZE_BYTES: '5242880',
    };
    return { environment, dispose: () => harness.dispose() };
  },
};

const DRIVERS: readonly DriverName[] = ['filesystem', 'memory', 's3', 'azure', 'gcs'];

type Define = (storage: TestStorage) => void;

/**
 * The same tests on each driver, with its real server behind it (a server of the tests, for Google's). Without radosgw those on S3 are
 * skipped, and say so.
 */
export function describeOnStorages(title: string, define: Define): void {
  for (const driver of DRIVERS) describeOn(driver, title, define);
}

/** On those that several Berths can have in common. */
export function describeOnSharedStorages(title: string, define: Define): void {
  for (const driver of DRIVERS) if (driver !== 'memory') describeOn(driver, title, define);
}

/** On those that sign URLs here: not Google's, since the registry has no key that its server would take. */
export function describeOnSigningStorages(title: string, define: Define): void {
  for (const driver of ['s3', 'azure'] as const) describeOn(driver, title, define);
}

/** On files and in one object store: for what takes its time, or hardly depends on the driver. */
export function describeOnTwoStorages(title: string, define: Define): void {
  for (const driver of ['filesystem', 's3'] as const) describeOn(driver, title, define);
}

function describeOn(driver: DriverName, title: string, define: Define): void {
  const open = OPENERS[driver];
  const describing = driver === 's3' ? describeWithRadosgw : describe;
  describing(`${title}: ${driver}`, () => {
    let opened: Opened | undefined;
    // Where clients are sent elsewhere for their blobs is looked at by tests of its own.
    const environment: Record<string, string> = { STORAGE_DRIVER: driver, STORAGE_REDIRECT: 'false' };
    beforeAll(async () => {
      opened = await open();
      Object.assign(environment, opened.environment);
    });
    afterAll(() => opened?.dispose());
    define({ driver, environment, readsUploads: driver === 'filesystem' || driver === 'memory' });
  });
}

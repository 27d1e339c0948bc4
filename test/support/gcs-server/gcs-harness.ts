import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GcsSettings } from '../../../src/config/gcs.settings.js';
import { GcsObjectStore } from '../../../src/storage/drivers/gcs/gcs-object.store.js';
import type { GcsLimits } from '../../../src/storage/drivers/gcs/gcs-limits.js';
import { GcsServer, type GcsServerOptions } from './gcs-server.js';

/** A server, the key file of its service account, and the stores opened on it. */
export class GcsHarness {
  readonly bucket = 'berth-tests';
  private readonly stores: GcsObjectStore[] = [];

  private constructor(
    readonly server: GcsServer,
    readonly directory: string,
  ) {}

  static async start(options: GcsServerOptions = {}): Promise<GcsHarness> {
    const harness = new GcsHarness(
      await GcsServer.start({ auth: true, ...options }),
      await mkdtemp(join(tmpdir(), 'berth-gcs-')),
    );
    harness.server.createBucket(harness.bucket);
    await writeFile(harness.keyFile, harness.server.keyFile());
    return harness;
  }

  get keyFile(): string {
    return join(this.directory, 'key.json');
  }

  settings(changes: Partial<GcsSettings> = {}): GcsSettings {
    return {
      storageGcsBucket: this.bucket,
      storageGcsEndpoint: this.server.url,
      storageGcsPublicEndpoint: undefined,
      storageGcsKeyFile: this.keyFile,
      storageGcsPrefix: '',
      storageGcsPartSizeBytes: 8 * 1024 * 1024,
      ...changes,
    };
  }

  /** Not prepared. */
  store(changes: Partial<GcsSettings> = {}, limits: Partial<GcsLimits> = {}): GcsObjectStore {
    const store = new GcsObjectStore(this.settings(changes), limits);
    this.stores.push(store);
    return store;
  }

  async dispose(): Promise<void> {
    for (const store of this.stores) store.close();
    await this.server.close();
    await rm(this.directory, { recursive: true });
  }
}

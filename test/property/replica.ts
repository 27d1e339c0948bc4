import { BlobPresence } from '../../src/blobs/blob-presence.js';
import { BlobService } from '../../src/blobs/blob.service.js';
import { BlobStore } from '../../src/blobs/blob.store.js';
import { DisplacedObjectStore } from '../../src/blobs/displaced-object.store.js';
import { DisplacedObjects } from '../../src/blobs/displaced-objects.service.js';
import { SmallBlobs } from '../../src/blobs/small-blobs.js';
import { Configuration } from '../../src/config/configuration.js';
import { DatabaseSpace } from '../../src/database/database-space.js';
import { Replica } from '../../src/common/replica.js';
import { DatabaseListener } from '../../src/database/connection/database-listener.js';
import { IdempotentRequests } from '../../src/idempotency/idempotent-requests.js';
import { JobStore } from '../../src/jobs/job.store.js';
import { Jobs } from '../../src/jobs/jobs.js';
import { ExclusiveTask } from '../../src/maintenance/exclusive-task.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { StorageClaim } from '../../src/storage-identity/storage-claim.js';
import { StorageClaimStore } from '../../src/storage-identity/storage-claim.store.js';
import { StorageIdentity } from '../../src/storage-identity/storage-identity.js';
import { StorageIdentityStore } from '../../src/storage-identity/storage-identity.store.js';
import type { StorageDriver } from '../../src/storage/storage-driver.js';
import { ActiveWriters } from '../../src/uploads/session/active-writers.js';
import type { HasherFactory } from '../../src/uploads/hash/hasher.js';
import { ObjectVerifier } from '../../src/uploads/commit/object-verifier.js';
import { TakeoverRequests } from '../../src/uploads/session/takeover-requests.js';
import { UploadCommitService } from '../../src/uploads/commit/upload-commit.service.js';
import { UploadDigests } from '../../src/uploads/commit/upload-digests.js';
import { UploadCommitStore } from '../../src/uploads/commit/upload-commit.store.js';
import { UploadClock } from '../../src/maintenance/upload-clock.js';
import { UploadEventLog } from '../../src/events/upload-event-log.js';
import { UploadLeaseService } from '../../src/uploads/session/upload-lease.service.js';
import { UploadReaper } from '../../src/uploads/cleanup/upload-reaper.js';
import { UploadReapingStore } from '../../src/uploads/cleanup/upload-reaping.store.js';
import { UploadReclaimService } from '../../src/uploads/cleanup/upload-reclaim.service.js';
import { SessionLimits } from '../../src/uploads/session/session-limits.js';
import { UploadSessionStore } from '../../src/uploads/session/upload-session.store.js';
import { UploadService } from '../../src/uploads/upload.service.js';
import type { DataSource } from 'typeorm';
import { type Around, interposed, interposedDriver } from './interposed.js';

/** A body of a few chunks crosses it. */
export const CHECKPOINT_BYTES = 64;

/** So long that nothing happens by the clock: tests let leases lapse and uploads expire. */
const SETTINGS = {
  uploadCheckpointBytes: CHECKPOINT_BYTES,
  uploadLeaseSeconds: 300,
  uploadTtlSeconds: 24 * 60 * 60,
  requestIdleTimeoutSeconds: 3600,
};

/**
 * What a process among several has of its own, wired as the application wires it. `around` is in the way of
 * all that others can see.
 */
export class TestReplica {
  readonly name: string;
  readonly uploads: UploadService;
  readonly reaper: UploadReaper;
  private readonly writers = new ActiveWriters();
  private readonly listener: DatabaseListener;
  private readonly events: UploadEventLog;
  private readonly identity: StorageIdentity;

  constructor(dataSource: DataSource, storage: StorageDriver, hashers: HasherFactory, around: Around) {
    const configuration = Object.assign(new Configuration(), SETTINGS);
    const replica = new Replica();
    const driver = interposedDriver(storage, around);
    const sessions = interposed(
      new UploadSessionStore(dataSource),
      ['acquire', 'recordFence', 'checkpoint', 'tryCheckpoint', 'release', 'markCancelled'],
      around,
    );
    const transactions = new UnitOfWork(dataSource);
    const committing = interposed(
      new UploadCommitStore(dataSource, transactions),
      ['markCommitting', 'commit'],
      around,
    );
    const reaping = interposed(
      new UploadReapingStore(dataSource),
      ['expire', 'acquireInterruptedCommit', 'findUnreclaimed', 'markReclaimed', 'whichHoldBytes'],
      around,
    );
    // Not the calls inside a transaction: a parked caller would keep locks that others wait for.
    const unitOfWork = interposed(transactions, ['run'], (_call, work) => around('transaction', work));
    const blobStore = new BlobStore(dataSource, configuration);
    const displacedStore = interposed(
      new DisplacedObjectStore(dataSource),
      ['takeDue', 'markRemoving', 'forget'],
      around,
    );
    const claim = new StorageClaim(new StorageClaimStore(dataSource), storage);
    this.identity = new StorageIdentity(
      new StorageIdentityStore(dataSource),
      claim,
      new ExclusiveTask(dataSource),
      storage,
      { description: 'the database of the test' },
      configuration,
    );
    const displaced = new DisplacedObjects(displacedStore, blobStore, unitOfWork, this.identity, driver);
    const presence = new BlobPresence(driver, displaced, this.identity);
    const requests = new IdempotentRequests(dataSource);
    const blobs = new BlobService(blobStore, new SmallBlobs(driver), presence, unitOfWork, driver, requests);
    this.name = replica.name;
    this.events = new UploadEventLog(dataSource);
    this.listener = new DatabaseListener(dataSource, replica);
    const leases = new UploadLeaseService(
      sessions,
      this.events,
      this.writers,
      new TakeoverRequests(this.writers, this.listener, replica),
      replica,
      configuration,
      driver,
    );
    const reclaims = new UploadReclaimService(reaping, blobs, driver, hashers);
    const commits = new UploadCommitService(
      committing,
      reaping,
      reclaims,
      presence,
      this.identity,
      new ObjectVerifier(driver, hashers),
      new UploadDigests(driver, hashers),
      driver,
      hashers,
    );
    this.uploads = new UploadService(
      sessions,
      leases,
      commits,
      reclaims,
      this.events,
      driver,
      hashers,
      configuration,
      new DatabaseSpace(undefined, undefined, 1),
      new SessionLimits(configuration),
    );
    this.reaper = new UploadReaper(
      reaping,
      reclaims,
      leases,
      commits,
      this.events,
      new UploadClock(dataSource),
      displaced,
      this.identity,
      claim,
      driver,
      configuration,
      new Jobs(new JobStore(dataSource, replica), configuration, this.listener),
    );
  }

  async connect(): Promise<void> {
    await this.identity.establish();
    await this.listener.onModuleInit();
  }

  /** Ends its connection for notifications, as if the process had ended. Its requests may still continue. */
  cutOff(): Promise<void> {
    return this.listener.onModuleDestroy();
  }

  /** As SIGTERM does: its writers checkpoint and release their sessions. */
  async stop(): Promise<void> {
    await this.writers.stop();
    await this.cutOff();
  }

  /** Settles when nothing of it is under way in the background. To be called when its requests have ended. */
  settled(): Promise<void> {
    return this.events.onModuleDestroy();
  }
}

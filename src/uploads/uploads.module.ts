import { Logger, Module } from '@nestjs/common';
import { BlobsModule } from '../blobs/blobs.module.js';
import { ActiveWriters } from './session/active-writers.js';
import { HASHER_FACTORY } from './hash/hasher.js';
import { createHasherFactory } from './hash/hasher.factory.js';
import { ObjectVerifier } from './commit/object-verifier.js';
import { TakeoverRequests } from './session/takeover-requests.js';
import { UploadCommitService } from './commit/upload-commit.service.js';
import { UploadCommitStore } from './commit/upload-commit.store.js';
import { UploadDigests } from './commit/upload-digests.js';
import { UploadLeaseService } from './session/upload-lease.service.js';
import { UploadReaper } from './cleanup/upload-reaper.js';
import { UploadReapingStore } from './cleanup/upload-reaping.store.js';
import { UploadReclaimService } from './cleanup/upload-reclaim.service.js';
import { SessionLimits } from './session/session-limits.js';
import { UploadSessionStore } from './session/upload-session.store.js';
import { UploadService } from './upload.service.js';

/** Upload sessions: how bytes become blobs. Start reading at {@link UploadService}. */
@Module({
  imports: [BlobsModule],
  providers: [
    UploadService,
    UploadLeaseService,
    TakeoverRequests,
    UploadCommitService,
    UploadDigests,
    ObjectVerifier,
    UploadReclaimService,
    UploadReaper,
    UploadSessionStore,
    SessionLimits,
    UploadCommitStore,
    UploadReapingStore,
    ActiveWriters,
    {
      provide: HASHER_FACTORY,
      useFactory: () => createHasherFactory((warning) => new Logger('HasherFactory').warn(warning)),
    },
  ],
  exports: [UploadService, UploadSessionStore, ActiveWriters, ObjectVerifier, HASHER_FACTORY],
})
export class UploadsModule {}

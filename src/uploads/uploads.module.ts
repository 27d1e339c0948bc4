import { Logger, Module } from '@nestjs/common';
import { BlobsModule } from '../blobs/blobs.module.js';
import { ActiveWriters } from './active-writers.js';
import { HASHER_FACTORY } from './hash/hasher.js';
import { createHasherFactory } from './hash/hasher.factory.js';
import { ObjectVerifier } from './object-verifier.js';
import { TakeoverRequests } from './takeover-requests.js';
import { UploadCommitService } from './upload-commit.service.js';
import { UploadCommitStore } from './upload-commit.store.js';
import { UploadClock } from './upload-clock.js';
import { UploadEventLog } from './upload-event-log.js';
import { UploadLeaseService } from './upload-lease.service.js';
import { UploadReaper } from './upload-reaper.service.js';
import { UploadReapingStore } from './upload-reaping.store.js';
import { UploadReclaimService } from './upload-reclaim.service.js';
import { UploadSessionStore } from './upload-session.store.js';
import { UploadService } from './upload.service.js';

/** Upload sessions: how bytes become blobs. Start reading at {@link UploadService}. */
@Module({
  imports: [BlobsModule],
  providers: [
    UploadService,
    UploadLeaseService,
    TakeoverRequests,
    UploadCommitService,
    ObjectVerifier,
    UploadReclaimService,
    UploadReaper,
    UploadSessionStore,
    UploadCommitStore,
    UploadReapingStore,
    UploadEventLog,
    UploadClock,
    ActiveWriters,
    {
      provide: HASHER_FACTORY,
      useFactory: () => createHasherFactory((warning) => new Logger('HasherFactory').warn(warning)),
    },
  ],
  exports: [UploadService, UploadSessionStore, ActiveWriters, ObjectVerifier, HASHER_FACTORY],
})
export class UploadsModule {}

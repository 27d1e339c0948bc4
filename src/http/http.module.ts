import { Module } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { AccessModule } from '../access/access.module.js';
import { BlobsModule } from '../blobs/blobs.module.js';
import { ManifestsModule } from '../manifests/manifests.module.js';
import { RepositoriesModule } from '../repositories/repositories.module.js';
import { UploadsModule } from '../uploads/uploads.module.js';
import { BaseController } from './base.controller.js';
import { BodyMemory } from '../transfer/body-memory.js';
import { BlobsController } from './blobs.controller.js';
import { ListsController } from './lists.controller.js';
import { ManifestsController } from './manifests.controller.js';
import { ObjectSender } from '../transfer/object-sender.js';
import { RegistryExceptionFilter } from './registry-exception.filter.js';
import { TransferBuffers } from '../transfer/transfer-buffers.js';
import { UnsupportedMethodsController } from './unsupported-methods.controller.js';
import { UnsupportedUploadMethodsController } from './unsupported-upload-methods.controller.js';
import { UploadsController } from './uploads.controller.js';

/** The distribution spec's endpoints, one controller per resource. */
@Module({
  imports: [AccessModule, BlobsModule, ManifestsModule, RepositoriesModule, UploadsModule],
  controllers: [
    BaseController,
    UploadsController,
    UnsupportedUploadMethodsController,
    BlobsController,
    ManifestsController,
    ListsController,
    UnsupportedMethodsController,
  ],
  providers: [
    BodyMemory,
    { provide: APP_FILTER, useClass: RegistryExceptionFilter },
    { provide: TransferBuffers, useFactory: () => new TransferBuffers() },
    {
      provide: ObjectSender,
      useFactory: (buffers: TransferBuffers) => new ObjectSender(buffers),
      inject: [TransferBuffers],
    },
  ],
})
export class HttpModule {}

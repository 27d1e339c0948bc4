import { Module } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { AccessModule } from '../access/access.module.js';
import { BlobsModule } from '../blobs/blobs.module.js';
import { ManifestsModule } from '../manifests/manifests.module.js';
import { RepositoriesModule } from '../repositories/repositories.module.js';
import { TransferModule } from '../transfer/transfer.module.js';
import { UploadsModule } from '../uploads/uploads.module.js';
import { BaseController } from './base.controller.js';
import { BlobsController } from './blobs.controller.js';
import { ListsController } from './lists.controller.js';
import { ManifestsController } from './manifests.controller.js';
import { RegistryExceptionFilter } from './registry-exception.filter.js';
import { UnsupportedMethodsController } from './unsupported-methods.controller.js';
import { UnsupportedUploadMethodsController } from './unsupported-upload-methods.controller.js';
import { UploadsController } from './uploads.controller.js';

/** The distribution spec's endpoints, one controller per resource. */
@Module({
  imports: [AccessModule, BlobsModule, ManifestsModule, RepositoriesModule, TransferModule, UploadsModule],
  controllers: [
    BaseController,
    UploadsController,
    UnsupportedUploadMethodsController,
    BlobsController,
    ManifestsController,
    ListsController,
    UnsupportedMethodsController,
  ],
  providers: [{ provide: APP_FILTER, useClass: RegistryExceptionFilter }],
})
export class HttpModule {}

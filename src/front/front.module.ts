import { type DynamicModule, Module } from '@nestjs/common';
import { ConfigModule } from '../config/config.module.js';
import { Configuration } from '../config/configuration.js';
import { TransferModule } from '../transfer/transfer.module.js';
import { BufferBudget } from './bytes/buffer-budget.js';
import { wholeBodyBytes, WholeBodyBudget } from './bytes/whole-body-budget.js';
import { FrontGauges } from './front-gauges.js';
import { FrontHealthController } from './front-health.controller.js';
import { FrontService } from './front.service.js';
import { Pulls } from './pull/pulls.js';
import { ReplicaSet } from './replicas/replica-set.js';
import { ClientBodies } from './requests/client-bodies.js';
import { Requests } from './requests/requests.js';
import { SmallRequests } from './requests/small-requests.js';
import { UploadStatus } from './upload/upload-status.js';
import { Uploads } from './upload/uploads.js';

/** A front: it has neither a database nor a storage. */
@Module({})
export class FrontModule {
  static forRoot(configuration: Readonly<Configuration>): DynamicModule {
    return {
      module: FrontModule,
      imports: [ConfigModule.forRoot(configuration), TransferModule],
      controllers: [FrontHealthController],
      providers: [
        ...[
          FrontService,
          FrontGauges,
          ReplicaSet,
          Requests,
          SmallRequests,
          ClientBodies,
          Uploads,
          UploadStatus,
          Pulls,
        ],
        {
          provide: BufferBudget,
          useFactory: ({ frontBufferBytes: bytes }: Configuration) =>
            new BufferBudget(bytes - wholeBodyBytes(bytes)),
          inject: [Configuration],
        },
        {
          provide: WholeBodyBudget,
          useFactory: ({ frontBufferBytes: bytes }: Configuration) =>
            new WholeBodyBudget(wholeBodyBytes(bytes)),
          inject: [Configuration],
        },
      ],
    };
  }
}

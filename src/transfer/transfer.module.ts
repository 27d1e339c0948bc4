import { Logger, Module } from '@nestjs/common';
import { Configuration } from '../config/configuration.js';
import { BodyMemory } from './body-memory.js';
import { BufferPool } from './buffer-pool.js';
import { DirectReads } from './direct/direct-reads.js';
import { ObjectSender } from './object-sender.js';
import { RequestBodies } from './request-bodies.js';
import { UploadBodies } from './upload-bodies.js';

/** Bytes in and out: request bodies, the pool of buffers, blob responses. */
@Module({
  providers: [
    BodyMemory,
    RequestBodies,
    UploadBodies,
    { provide: BufferPool, useFactory: () => new BufferPool() },
    {
      provide: DirectReads,
      useFactory: ({ directReads }: Configuration, buffers: BufferPool) =>
        directReads
          ? DirectReads.prepare(buffers, (warning) => new Logger('DirectReads').warn(warning))
          : DirectReads.off(buffers),
      inject: [Configuration, BufferPool],
    },
    {
      provide: ObjectSender,
      useFactory: (buffers: BufferPool) => new ObjectSender(buffers),
      inject: [BufferPool],
    },
  ],
  exports: [BodyMemory, RequestBodies, UploadBodies, ObjectSender, BufferPool],
})
export class TransferModule {}

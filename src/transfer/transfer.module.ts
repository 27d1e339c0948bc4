import { Module } from '@nestjs/common';
import { BodyMemory } from './body-memory.js';
import { BufferPool } from './buffer-pool.js';
import { ObjectSender } from './object-sender.js';
import { RequestBodies } from './request-bodies.js';

/** Bytes in and out: request bodies, the pool of buffers, blob responses. */
@Module({
  providers: [
    BodyMemory,
    RequestBodies,
    { provide: BufferPool, useFactory: () => new BufferPool() },
    {
      provide: ObjectSender,
      useFactory: (buffers: BufferPool) => new ObjectSender(buffers),
      inject: [BufferPool],
    },
  ],
  exports: [BodyMemory, RequestBodies, ObjectSender],
})
export class TransferModule {}

import { type DynamicModule, Global, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Replica } from '../common/replica.js';
import { Configuration } from '../config/configuration.js';
import { READS } from './connection/connections.js';
import { DatabaseListener } from './connection/database-listener.js';
import { ProbeConnection } from './connection/probe-connection.js';
import { DatabaseSpace } from './database-space.js';
import type { Database } from './database.js';
import { ListQueries } from './list-queries.js';
import { PoolGauges } from './pool-gauges.js';
import { UnitOfWork } from './unit-of-work.js';

/** Injects the {@link Database} that was opened before the application was created. */
export const DATABASE = Symbol('DATABASE');

/** Database access, over connections that the start opened. Failures to connect are reported there. */
@Global()
@Module({})
export class DatabaseModule {
  static forRoot(database: Database): DynamicModule {
    return {
      module: DatabaseModule,
      imports: [
        TypeOrmModule.forRootAsync({
          useFactory: () => database.dataSource.options,
          dataSourceFactory: () => Promise.resolve(database.dataSource),
        }),
      ],
      providers: [
        Replica,
        UnitOfWork,
        DatabaseListener,
        ProbeConnection,
        ListQueries,
        PoolGauges,
        { provide: DATABASE, useValue: database },
        { provide: READS, useValue: database.reads },
        {
          provide: DatabaseSpace,
          useFactory: ({ databaseReserveBytes, processes }: Configuration) =>
            new DatabaseSpace(database.clusterDirectory, databaseReserveBytes, processes),
          inject: [Configuration],
        },
      ],
      exports: [
        Replica,
        UnitOfWork,
        DatabaseListener,
        ProbeConnection,
        ListQueries,
        DATABASE,
        READS,
        DatabaseSpace,
      ],
    };
  }
}

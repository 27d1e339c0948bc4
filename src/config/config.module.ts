import { type DynamicModule, Global, Module } from '@nestjs/common';
import { Configuration } from './configuration.js';
import { Replica } from '../common/replica.js';

/** Makes the validated {@link Configuration}, and who this process is, injectable everywhere, by their classes. */
@Global()
@Module({})
export class ConfigModule {
  static forRoot(configuration: Readonly<Configuration>): DynamicModule {
    return {
      module: ConfigModule,
      providers: [{ provide: Configuration, useValue: configuration }, Replica],
      exports: [Configuration, Replica],
    };
  }
}

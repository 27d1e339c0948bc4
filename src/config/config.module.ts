import { type DynamicModule, Global, Module } from '@nestjs/common';
import { Configuration } from './configuration.js';

/** Provides the {@link Configuration} everywhere. */
@Global()
@Module({})
export class ConfigModule {
  static forRoot(configuration: Readonly<Configuration>): DynamicModule {
    return {
      module: ConfigModule,
      providers: [{ provide: Configuration, useValue: configuration }],
      exports: [Configuration],
    };
  }
}

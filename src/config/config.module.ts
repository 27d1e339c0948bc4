import { type DynamicModule, Global, Module } from '@nestjs/common';
import { Configuration } from './configuration.js';

/** Makes the validated {@link Configuration} injectable everywhere, by its class. */
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

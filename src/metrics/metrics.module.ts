import { type DynamicModule, Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.js';
import { METRICS_SOURCE, type MetricsSource, OWN_METRICS } from '../observability/metrics/metrics-source.js';
import { MetricsController } from './metrics.controller.js';
import { RegistryGaugesModule } from './registry-gauges.module.js';

/** `/metrics`. */
@Module({})
export class MetricsModule {
  /** @param source of this host's metrics; with a primary, that one measures what all processes share. */
  static forRoot(source: MetricsSource): DynamicModule {
    return {
      module: MetricsModule,
      imports: [AccessModule, ...(source === OWN_METRICS ? [RegistryGaugesModule] : [])],
      controllers: [MetricsController],
      providers: [{ provide: METRICS_SOURCE, useValue: source }],
    };
  }
}

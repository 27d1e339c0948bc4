import { Module } from '@nestjs/common';
import { ForecastModule } from '../collection/forecast/forecast.module.js';
import { RegistryGauges } from './registry-gauges.js';

/** For the one process of a host that measures what all of them share: the primary, or the only one. */
@Module({ imports: [ForecastModule], providers: [RegistryGauges] })
export class RegistryGaugesModule {}

import { Module } from '@nestjs/common';
import { ForecastQuery } from './forecast.query.js';

/** What collections will delete, without deleting it: for `GET /api/v1/garbage` and for dry runs. */
@Module({ providers: [ForecastQuery], exports: [ForecastQuery] })
export class ForecastModule {}

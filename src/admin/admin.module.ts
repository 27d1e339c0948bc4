import { type MiddlewareConsumer, Module, type NestModule } from '@nestjs/common';
import type { NextFunction, Request, Response } from 'express';
import { AccessModule } from '../access/access.module.js';
import { UploadsModule } from '../uploads/uploads.module.js';
import { AdminManifestsController } from './manifests/manifests.controller.js';
import { ManifestsQuery } from './manifests/manifests.query.js';
import { ReferencesQuery } from './manifests/references.query.js';
import { OverviewController } from './overview/overview.controller.js';
import { OverviewService } from './overview/overview.service.js';
import { RepositoriesController } from './repositories/repositories.controller.js';
import { RepositoriesQuery } from './repositories/repositories.query.js';
import { TagsQuery } from './tags/tags.query.js';
import { TagsController } from './tags/tags.controller.js';
import { UnsupportedAdminMethodsController } from './unsupported-methods.controller.js';
import { AdminUploadsController } from './uploads/uploads.controller.js';
import { UploadsQuery } from './uploads/uploads.query.js';

/**
 * The admin API, `/api/v1`. Its readers select what a page shows and nothing else; whatever changes something goes
 * through the service that owns it.
 */
@Module({
  imports: [AccessModule, UploadsModule],
  controllers: [
    OverviewController,
    // Before the repositories, whose `*name` would take their paths for names.
    TagsController,
    AdminManifestsController,
    RepositoriesController,
    AdminUploadsController,
    UnsupportedAdminMethodsController,
  ],
  providers: [OverviewService, RepositoriesQuery, TagsQuery, ManifestsQuery, ReferencesQuery, UploadsQuery],
})
export class AdminModule implements NestModule {
  configure(consumer: MiddlewareConsumer): void {
    consumer.apply(setHeaders).forRoutes('api/v1/*path');
  }
}

const SLOW_READER_MS = 60_000;

/**
 * No answer may be stored, or taken for anything but JSON. There are no CORS headers on purpose: a page of another
 * origin can then read nothing here, and its DELETE ends at the preflight.
 */
function setHeaders(_request: Request, response: Response, next: NextFunction): void {
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('Cache-Control', 'no-store');
  // A reader that stops reading without closing would keep a page in memory for ever.
  response.setTimeout(SLOW_READER_MS, () => response.destroy());
  next();
}

import { type MiddlewareConsumer, Module, type NestModule } from '@nestjs/common';
import type { NextFunction, Request, Response } from 'express';
import { AccessModule } from '../access/access.module.js';
import { UploadsModule } from '../uploads/uploads.module.js';
import { BlobsModule } from '../blobs/blobs.module.js';
import { CollectionModule } from '../collection/collection.module.js';
import { ForecastModule } from '../collection/forecast/forecast.module.js';
import { DeletionsModule } from '../deletions/deletions.module.js';
import { AuditController } from './access/audit/audit.controller.js';
import { AuditQuery } from './access/audit/audit.query.js';
import { AccountsModule } from '../accounts/accounts.module.js';
import { AccountsQuery } from './access/accounts/accounts.query.js';
import { MeController } from './access/me/me.controller.js';
import { MeService } from './access/me/me.service.js';
import { RobotTokensController } from './access/robots/robot-tokens.controller.js';
import { RobotsController } from './access/robots/robots.controller.js';
import { TokensQuery } from './access/tokens/tokens.query.js';
import { UsersController } from './access/users/users.controller.js';
import { ExplainController } from './access/explain/explain.controller.js';
import { ExplainService } from './access/explain/explain.service.js';
import { GrantsController } from './access/grants/grants.controller.js';
import { GrantsQuery } from './access/grants/grants.query.js';
import { GroupMembersController } from './access/groups/group-members.controller.js';
import { GroupsController } from './access/groups/groups.controller.js';
import { GroupsQuery } from './access/groups/groups.query.js';
import { BlobRepositoriesController } from './blobs/blob-repositories.controller.js';
import { AdminBlobsController } from './blobs/blobs.controller.js';
import { BlobsQuery } from './blobs/blobs.query.js';
import { DeletionAccess } from './deletions/deletion-access.js';
import { DeletionsController } from './deletions/deletions.controller.js';
import { DeletionsQuery } from './deletions/deletions.query.js';
import { TagEventsController } from './events/tag-events.controller.js';
import { TagEventsQuery } from './events/tag-events.query.js';
import { UploadEventsQuery } from './events/upload-events.query.js';
import { JobRunsController } from './jobs/job-runs.controller.js';
import { JobsController } from './jobs/jobs.controller.js';
import { JobsQuery } from './jobs/jobs.query.js';
import { GarbageController } from './garbage/garbage.controller.js';
import { ImagePlatforms } from './manifests/image-platforms.js';
import { AdminManifestsController } from './manifests/manifests.controller.js';
import { ManifestsQuery } from './manifests/manifests.query.js';
import { ReferencesQuery } from './manifests/references.query.js';
import { OverviewController } from './overview/overview.controller.js';
import { OverviewService } from './overview/overview.service.js';
import { RepositoriesController } from './repositories/repositories.controller.js';
import { RepositoriesQuery } from './repositories/repositories.query.js';
import { UnsupportedRepositoryMethodsController } from './repositories/unsupported-methods.controller.js';
import { UsageController } from './repositories/usage.controller.js';
import { UsageQuery } from './repositories/usage.query.js';
import { TagsQuery } from './tags/tags.query.js';
import { TagsController } from './tags/tags.controller.js';
import { UnsupportedAdminMethodsController } from './unsupported-methods.controller.js';
import { AdminUploadsController } from './uploads/uploads.controller.js';
import { UploadsQuery } from './uploads/uploads.query.js';

/**
 * The admin API, `/api/v1`. Its queries (`*.query.ts`) select exactly what an endpoint returns. Writes go
 * through the service that owns the data.
 */
@Module({
  imports: [
    AccessModule,
    AccountsModule,
    BlobsModule,
    CollectionModule,
    DeletionsModule,
    ForecastModule,
    UploadsModule,
  ],
  controllers: [
    OverviewController,
    // Before RepositoriesController, whose `*name` would match their paths.
    TagEventsController,
    TagsController,
    AdminManifestsController,
    AdminBlobsController,
    UsageController,
    UnsupportedRepositoryMethodsController,
    RepositoriesController,
    BlobRepositoriesController,
    DeletionsController,
    GarbageController,
    AdminUploadsController,
    JobsController,
    JobRunsController,
    GroupsController,
    GroupMembersController,
    GrantsController,
    ExplainController,
    AuditController,
    MeController,
    UsersController,
    RobotsController,
    RobotTokensController,
    UnsupportedAdminMethodsController,
  ],
  providers: [
    OverviewService,
    RepositoriesQuery,
    UsageQuery,
    DeletionsQuery,
    DeletionAccess,
    TagsQuery,
    ManifestsQuery,
    ReferencesQuery,
    BlobsQuery,
    ImagePlatforms,
    UploadsQuery,
    JobsQuery,
    TagEventsQuery,
    UploadEventsQuery,
    GroupsQuery,
    GrantsQuery,
    ExplainService,
    AuditQuery,
    MeService,
    AccountsQuery,
    TokensQuery,
  ],
})
export class AdminModule implements NestModule {
  configure(consumer: MiddlewareConsumer): void {
    consumer.apply(setHeaders).forRoutes('api/v1/*path');
  }
}

const STALLED_READER_MS = 60_000;

/**
 * Responses must not be cached, and browsers must not guess their type. There are no CORS headers on purpose:
 * pages of other origins can't read responses, and their DELETE fails at the preflight.
 */
function setHeaders(_request: Request, response: Response, next: NextFunction): void {
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('Cache-Control', 'no-store');
  // Otherwise a client that stops reading, without closing, would keep its page in memory forever.
  response.setTimeout(STALLED_READER_MS, () => response.destroy());
  next();
}

import { Module } from '@nestjs/common';
import { CatalogueService } from './catalogue.service.js';
import { RepositoryStore } from './repository.store.js';

/** Repositories and the catalogue. */
@Module({ providers: [CatalogueService, RepositoryStore], exports: [CatalogueService, RepositoryStore] })
export class RepositoriesModule {}

import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { queryRows } from '../database/query-rows.js';
import type { RepositoryName } from '../oci/repository-name.js';

/**
 * The rows of repositories. The first blob or manifest committed to a repository creates it: see
 * `ensure_repository`, among the migrations.
 */
@Injectable()
export class RepositoryStore {
  /**
   * The repository's id; undefined if it does not exist. Takes no lock, so it is for reads alone: a write
   * that relied on it could end in a repository that was deleted meanwhile.
   */
  async find(manager: EntityManager, name: RepositoryName): Promise<string | undefined> {
    const sql = 'SELECT id FROM repositories WHERE name = $1';
    return (await queryRows<{ id: string }>(manager, sql, [name]))[0]?.id;
  }
}

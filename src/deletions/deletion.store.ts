import { Injectable } from '@nestjs/common';
import { Configuration } from '../config/configuration.js';
import type { AuditOrigin } from '../audit/audit-event.js';
import { auditParameters, fromOrigin } from '../audit/audit-insertion.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import type { RepositoryName } from '../oci/repository-name.js';
import type { DeletionState, TagNotRestored } from './deletion.js';

/** Why a request is refused, as the functions of the migration `Restoration` return it. */
export type Refusal =
  | { readonly refused: 'unknown' | 'late' }
  | { readonly refused: 'state'; readonly state: DeletionState }
  | { readonly refused: 'taken'; readonly name: string }
  | { readonly refused: 'as'; readonly kind: string }
  | { readonly refused: 'repository'; readonly deletionId: string | null }
  | ({ readonly refused: 'tag' } & TagNotRestored)
  | {
      readonly refused: 'needed';
      readonly manifest: string;
      readonly index: string;
      readonly deletionId: string;
    };

type Outcome = Refusal | { readonly refused?: undefined };

const DELETE_REPOSITORY = `SELECT delete_repository($1, $2)::text AS id ${fromOrigin(3)}`;
const RESTORE = `SELECT restore_deletion($1, $2, $3, $4, $5) AS outcome ${fromOrigin(6)}`;
const PURGE = `SELECT request_purge($1, $2, $3) AS outcome ${fromOrigin(4)}`;
const BATCH = 'SELECT restore_batch($1, $2) AS more';
const RESTORING = `SELECT id FROM deletions WHERE state = 'restoring' AND id > $1 ORDER BY id LIMIT 1`;

/** Writes deletions. Each change is one statement, which calls a function of the schema. */
@Injectable()
export class DeletionStore {
  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly configuration: Configuration,
  ) {}

  /** Deletes a repository. Returns the deletion's id; undefined if the repository does not exist. */
  async deleteRepository(name: RepositoryName, origin: AuditOrigin): Promise<string | undefined> {
    const parameters = [name, ...auditParameters(origin)];
    const [row] = await this.unitOfWork.statement<{ id: string | null }>(DELETE_REPOSITORY, parameters, [
      name,
    ]);
    return row?.id ?? undefined;
  }

  /** Restores a deletion at once, or, if it is large, gives it the state `restoring`. */
  restore(id: string, as: RepositoryName | undefined, origin: AuditOrigin): Promise<Outcome> {
    const { gcUndeleteSeconds, gcBatchRows } = this.configuration;
    return this.change(RESTORE, [id, as ?? null, gcUndeleteSeconds, gcBatchRows, ...auditParameters(origin)]);
  }

  /** Asks the collector to purge a deletion without waiting for its windows. */
  requestPurge(id: string, origin: AuditOrigin): Promise<Outcome> {
    return this.change(PURGE, [id, this.configuration.gcUndeleteSeconds, ...auditParameters(origin)]);
  }

  /** The first deletion after `id` that is being restored; undefined if there is none. */
  async beingRestored(id: string): Promise<string | undefined> {
    return (await this.unitOfWork.statement<{ id: string }>(RESTORING, [id]))[0]?.id;
  }

  /** Restores a part of a deletion that is being restored. Returns whether anything may be left. */
  async restoreBatch(id: string): Promise<boolean> {
    const parameters = [id, this.configuration.gcBatchRows];
    const [row] = await this.unitOfWork.statement<{ more: boolean }>(BATCH, parameters);
    return row?.more ?? false;
  }

  private async change(sql: string, parameters: unknown[]): Promise<Outcome> {
    const [row] = await this.unitOfWork.statement<{ outcome: Outcome }>(sql, parameters);
    return row?.outcome ?? { refused: 'unknown' };
  }
}

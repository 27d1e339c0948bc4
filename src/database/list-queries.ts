import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { READS } from './connections.js';
import { queryRows } from './query-rows.js';
import { TURN_LIMITS, Turns } from './turns.js';

/**
 * Reads that bring many rows, or look at many: lists, and what the admin API shows. They have half of the
 * connections for reads at the most; the rest is left to pulls and to readiness, however many lists are asked
 * for.
 */
@Injectable()
export class ListQueries {
  private readonly turns: Turns;

  constructor(@Inject(READS) private readonly reads: DataSource) {
    const atOnce = Math.max(1, Math.floor((reads.options.poolSize ?? 1) / 2));
    this.turns = new Turns({ ...TURN_LIMITS, atOnce, atOncePerKey: atOnce });
  }

  /** The rows of one statement. @throws ContendedError where too many lists are asked for. */
  run<Row>(sql: string, parameters: unknown[] = []): Promise<Row[]> {
    return this.turns.run(undefined, () => queryRows<Row>(this.reads.manager, sql, parameters));
  }
}

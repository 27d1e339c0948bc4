import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import {
  frontBufferLimit,
  frontBufferUsed,
  frontReplicas,
  frontUploads,
} from '../observability/metrics/front.metrics.js';
import { beforeScrape } from '../observability/metrics/registry.js';
import { BufferBudget } from './bytes/buffer-budget.js';
import { WholeBodyBudget } from './bytes/whole-body-budget.js';
import { PROBE_RESULTS } from './replicas/replica-probe.js';
import { ReplicaSet } from './replicas/replica-set.js';

/** The metrics of a front that say how it is now. */
@Injectable()
export class FrontGauges implements OnModuleDestroy {
  private readonly stop = beforeScrape(() => this.read());

  constructor(
    private readonly replicas: ReplicaSet,
    private readonly streamed: BufferBudget,
    private readonly wholeBodies: WholeBodyBudget,
  ) {}

  onModuleDestroy(): void {
    this.stop();
  }

  private read(): void {
    for (const state of PROBE_RESULTS) frontReplicas.set({ state }, this.replicas.countOf(state));
    frontUploads.set(this.streamed.sharers + this.wholeBodies.sharers);
    const budgets = { streamed_uploads: this.streamed, whole_bodies: this.wholeBodies };
    for (const [of, budget] of Object.entries(budgets)) {
      frontBufferUsed.set({ of }, budget.usedBytes);
      frontBufferLimit.set({ of }, budget.limitBytes);
    }
  }
}

import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { Configuration } from '../config/configuration.js';
import { DatabaseListener } from '../database/connection/database-listener.js';
import { JobSchedule } from './job-schedule.js';
import type { Job } from './job.js';
import { JobStore } from './job.store.js';

/** NOTIFY channel. Payload: the name of a job whose run was requested, or shall stop. */
const CHANNEL = 'berth_jobs';

/** The jobs of this process. Each process has the same ones; the database decides which one runs a job. */
@Injectable()
export class Jobs implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly schedules = new Map<string, JobSchedule>();

  constructor(
    private readonly store: JobStore,
    private readonly configuration: Configuration,
    listener: DatabaseListener,
  ) {
    listener.on(CHANNEL, (name) => this.schedules.get(name)?.wake());
  }

  /** Call it before the application is initialised: in a constructor, or in `onModuleInit`. */
  register(job: Job): void {
    this.schedules.set(job.name, new JobSchedule(job, this.store, this.configuration.jobHistorySeconds));
  }

  /** Sorted by name. */
  get all(): readonly Job[] {
    const jobs = [...this.schedules.values()].map(({ job }) => job);
    return jobs.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  find(name: string): Job | undefined {
    return this.schedules.get(name)?.job;
  }

  onApplicationBootstrap(): void {
    for (const schedule of this.schedules.values()) schedule.start();
  }

  /** Stops the runs of this process, within a second. Another process continues them. */
  async onModuleDestroy(): Promise<void> {
    await Promise.all([...this.schedules.values()].map((schedule) => schedule.stop()));
  }
}

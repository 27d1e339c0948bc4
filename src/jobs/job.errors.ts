/** Another process continues the run: this one was frozen, or its batch took longer than the lease. */
export class JobLeaseLostError extends Error {
  constructor(job: string) {
    super(`another process has claimed the job ${job}`);
    this.name = JobLeaseLostError.name;
  }
}

/** An operator stops the run. */
export class JobStoppedError extends Error {
  constructor(job: string) {
    super(`the run of ${job} was stopped by a request`);
    this.name = JobStoppedError.name;
  }
}

/** The process stops: another one continues the run. */
export class JobInterruptedError extends Error {
  constructor(job: string) {
    super(`the process that ran ${job} stops`);
    this.name = JobInterruptedError.name;
  }
}

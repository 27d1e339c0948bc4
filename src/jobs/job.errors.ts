import { RegistryError } from '../oci/errors.js';

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

/** There is no job of this name. */
export class JobUnknownError extends RegistryError {
  constructor(name: string) {
    super('NAME_UNKNOWN', `no job has the name ${name}`);
  }
}

/** There is no such run, or not any more. */
export class JobRunUnknownError extends RegistryError {
  constructor(id: string) {
    super('NAME_UNKNOWN', `no run has the id ${id}; old runs are deleted after JOB_HISTORY_SECONDS`);
  }
}

/** A registry as an operator runs it: a process with its own data. */
export interface RegistryServer {
  /** Its name in the report. */
  readonly name: string;
  readonly port: number;
  /** Directory of its data. */
  readonly directory: string;
  /** Resolves at the first 200 of `/v2/`. After a stop it starts again on the same data. */
  start(): Promise<void>;
  /** Stops it as an operator does; kills it after a timeout. */
  stop(): Promise<void>;
  /** Its processes. Linux only; elsewhere empty. */
  processes(): ServerProcesses;
}

export interface ServerProcesses {
  /** Processes that serve requests. */
  readonly serving: readonly number[];
  /** Processes of its PostgreSQL. */
  readonly database: readonly number[];
}

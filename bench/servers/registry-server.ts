/** A registry as its operator runs it: a process of its own, on data of its own. */
export interface RegistryServer {
  /** How it is called in the report. */
  readonly name: string;
  readonly port: number;
  /** Where everything that it keeps lies. */
  readonly directory: string;
  /** Resolves at the first 200 of `/v2/`. Starts again after a stop, on the same data. */
  start(): Promise<void>;
  /** As an operator stops it; kills what doesn't end in time. */
  stop(): Promise<void>;
  /** Everything that it runs, now. Linux alone shows them; elsewhere none. */
  processes(): ServerProcesses;
}

export interface ServerProcesses {
  /** What serves requests. */
  readonly serving: readonly number[];
  /** Its own PostgreSQL. */
  readonly database: readonly number[];
}

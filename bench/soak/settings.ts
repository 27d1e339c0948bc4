/** How long and how hard a soak works. Everything is set by the environment. */
export interface SoakSettings {
  readonly minutes: number;
  /** Operations per second at the most, each of one to about ten requests. */
  readonly rate: number;
  readonly sampleSeconds: number;
  readonly directory: string | undefined;
  /** A build of Berth; undefined: one is made of the sources as they are. */
  readonly dist: string | undefined;
  /**
   * What Berth is started with: sessions and their events end soon, so that what is removed keeps up with
   * what comes.
   */
  readonly berth: Readonly<Record<string, string>>;
}

const MINUTE_SECONDS = 60;

/** @throws Error that names the variable that can't be used. */
export function soakSettings(environment: NodeJS.ProcessEnv): SoakSettings {
  const number = (name: string, otherwise: number) => {
    const value = Number(environment[name] ?? otherwise);
    if (!(value > 0)) throw new Error(`${name}: expected a number above 0`);
    return value;
  };
  const minutes = number('SOAK_MINUTES', 30);
  const seconds = minutes * MINUTE_SECONDS;
  return {
    minutes,
    rate: number('SOAK_RATE', 10),
    sampleSeconds: number('SOAK_SAMPLE_SECONDS', Math.min(30, seconds / 24)),
    directory: environment['SOAK_DIRECTORY'],
    dist: environment['SOAK_DIST'],
    berth: {
      UPLOAD_TTL_SECONDS: `${Math.ceil(Math.min(MINUTE_SECONDS, seconds / 12))}`,
      UPLOAD_EVENT_RETENTION_SECONDS: `${Math.ceil(Math.min(MINUTE_SECONDS, seconds / 12))}`,
    },
  };
}

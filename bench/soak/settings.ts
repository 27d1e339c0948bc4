/** Duration and load of a soak, from environment variables. */
export interface SoakSettings {
  readonly minutes: number;
  /** Maximum operations per second, each of one to about ten requests. */
  readonly rate: number;
  readonly sampleSeconds: number;
  readonly directory: string | undefined;
  /** A build of Berth; undefined: build the current sources. */
  readonly dist: string | undefined;
  /** Berth's settings: sessions and events expire soon, so that removal keeps up with the load. */
  readonly berth: Readonly<Record<string, string>>;
}

const MINUTE_SECONDS = 60;

/** @throws Error that names the invalid variable. */
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

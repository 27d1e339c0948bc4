import { Expose, Transform } from 'class-transformer';

/** Marks the environment variable that fills a field. The README lists them; the names are a contract. */
export const Env = (name: string) => Expose({ name });

/** `true` and `false` as an environment has them; anything else stays what it is, for the validation to refuse. */
export const AsBoolean = () =>
  Transform(({ value }: { value: unknown }) => (value === 'true' ? true : value === 'false' ? false : value));

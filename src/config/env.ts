import { Expose, Transform } from 'class-transformer';

/** The environment variable of a field. The README lists them; the names are part of the public interface. */
export const Env = (name: string) => Expose({ name });

/** Converts `true` and `false`. Other values are left for the validation to refuse. */
export const AsBoolean = () =>
  Transform(({ value }: { value: unknown }) => (value === 'true' ? true : value === 'false' ? false : value));

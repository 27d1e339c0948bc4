import { Expose, Transform } from 'class-transformer';

/** A setting: its environment variable, and the field that has its value. */
export interface Setting {
  readonly name: string;
  readonly field: string;
  /** The class of the field. */
  readonly settings: new () => object;
  /** Returns the value without its secrets. */
  readonly show: (value: unknown) => string;
}

/** All settings of the classes that are loaded, in the order of their declaration. */
export const SETTINGS: Setting[] = [];

/**
 * The environment variable of a field. The README lists them; the names are part of the public interface.
 *
 * @param show for a value that contains a secret.
 */
export const Env =
  (name: string, show: Setting['show'] = String): PropertyDecorator =>
  (target, field) => {
    const settings = target.constructor as new () => object;
    SETTINGS.push({ name, field: String(field), settings, show });
    Expose({ name })(target, field);
  };

/** Shows nothing of a secret. */
export const hidden = (): string => '(not shown)';

/** Shows a URL without its password. Its query is left out, too: it may contain another one. */
export function withoutPassword(value: unknown): string {
  const url = new URL(String(value));
  if (url.password !== '') url.password = '***';
  const hasQuery = url.search !== '';
  url.search = '';
  url.hash = '';
  return `${url.href}${hasQuery ? '?…' : ''}`;
}

/** Converts `true` and `false`. Other values are left for the validation to refuse. */
export const AsBoolean = () =>
  Transform(({ value }: { value: unknown }) => (value === 'true' ? true : value === 'false' ? false : value));

/** Splits a list at its commas. */
export const AsList = () =>
  Transform(({ value }: { value: unknown }) =>
    typeof value === 'string' ? value.split(',').map((item) => item.trim()) : value,
  );

import { Expose, Transform } from 'class-transformer';
import { databaseUrls } from './database-url.js';

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

/**
 * Shows the URL of a database without its password. Its query is left out, too: it may contain another one.
 */
export function withoutPassword(value: unknown): string {
  const urls = databaseUrls(String(value));
  const [{ protocol, username, password, pathname, search } = new URL(String(value))] = urls;
  const credentials = username === '' && password === '' ? '' : `${username}${password && ':***'}@`;
  const hosts = urls.map(({ host }) => host).join(',');
  return `${protocol}//${credentials}${hosts}${pathname}${search === '' ? '' : '?…'}`;
}

/** Converts `true` and `false`. Other values are left for the validation to refuse. */
export const AsBoolean = () =>
  Transform(({ value }: { value: unknown }) => (value === 'true' ? true : value === 'false' ? false : value));

/** Splits a list at its commas. */
export const AsList = () =>
  Transform(({ value }: { value: unknown }) =>
    typeof value === 'string' ? value.split(',').map((item) => item.trim()) : value,
  );

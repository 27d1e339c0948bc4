import { isIP } from 'node:net';
import { ValidateBy } from 'class-validator';
import { isHostName } from './host.js';

/** An address to listen on. */
export interface HostPort {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
}

/** Reads `127.0.0.1:9464`, `[::1]:9464` or `localhost:9464`. Returns undefined for other texts. */
export function parseHostPort(text: string): HostPort | undefined {
  const [, inBrackets, name, digits = ''] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const isValid =
    inBrackets === undefined ? isIP(name ?? '') === 4 || isHostName(name ?? '') : isIP(inBrackets) === 6;
  const host = inBrackets ?? name;
  return isValid && host !== undefined && Number(digits) <= 65_535
    ? { host, port: Number(digits) }
    : undefined;
}

/** A text that `parseHostPort` can read. */
export const IsHostPort = () =>
  ValidateBy({
    name: 'hostPort',
    validator: {
      validate: (value: unknown) => typeof value === 'string' && parseHostPort(value) !== undefined,
      defaultMessage: () => 'expected an address and a port, such as 127.0.0.1:9464 or [::1]:9464',
    },
  });

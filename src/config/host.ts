import { isIP } from 'node:net';
import { ValidateBy } from 'class-validator';

/**
 * Whether a text has the form of a host name. The last label of one is never a number, so an address with a
 * mistake (`256.0.0.1`) is none.
 */
export function isHostName(text: string): boolean {
  return text.length <= 253 && /^[\w-]+(\.[\w-]+)*$/.test(text) && !/(^|\.)\d+$/.test(text);
}

/** An IP address or a host name, without brackets and port. */
export const IsHost = () =>
  ValidateBy({
    name: 'host',
    validator: {
      validate: (value: unknown) => typeof value === 'string' && (isIP(value) !== 0 || isHostName(value)),
      defaultMessage: () => 'expected an IP address or a host name, without a port',
    },
  });

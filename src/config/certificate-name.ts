import { isIP } from 'node:net';
import { ValidateBy } from 'class-validator';
import { isHostName } from './host.js';

/** Each of them makes every handshake longer. */
const MAX_NAMES = 100;

/** Whether a certificate can name it: an address, a host name, or those of a domain (`*.example.org`). */
export function isCertificateName(text: string): boolean {
  // An address with a zone (`fe80::1%eth0`) has a meaning on one machine only.
  if (isIP(text) !== 0) return !text.includes('%');
  return isHostName(text.replace(/^\*\.(?=.+\.)/, ''));
}

/** A list of names and addresses for a certificate. */
export const AreCertificateNames = () =>
  ValidateBy({
    name: 'areCertificateNames',
    validator: {
      validate: (value: unknown) =>
        Array.isArray(value) &&
        value.length <= MAX_NAMES &&
        value.every((name) => typeof name === 'string' && isCertificateName(name)),
      defaultMessage: () =>
        `expected up to ${MAX_NAMES} host names and addresses without ports, separated by commas`,
    },
  });

import { hostname, networkInterfaces } from 'node:os';
import { isIP } from 'node:net';
import { isCertificateName } from '../config/certificate-name.js';
import type { Configuration } from '../config/configuration.js';

/** A machine with hundreds of addresses gets none of the rest: they would make every handshake longer. */
const MAX_ADDRESSES = 64;

/** The settings that name this server. */
export type NamingSettings = Pick<Configuration, 'host' | 'publicUrl' | 'tlsNames'>;

const ANY_ADDRESS = new Set(['0.0.0.0', '::']);

/**
 * The names and addresses by which clients may reach this machine: its host name, also as mDNS announces it
 * (`nas.local`), localhost, the addresses of its interfaces, and those of `HOST`, `PUBLIC_URL` and
 * `TLS_NAMES`. In lower case, each one once.
 */
export function certificateNames({ host, publicUrl, tlsNames }: NamingSettings): string[] {
  // The brackets of an IPv6 address belong to the URL.
  const published = publicUrl === undefined ? [] : [new URL(publicUrl).hostname.replace(/^\[|\]$/g, '')];
  const named = [...tlsNames, ...published, ...(ANY_ADDRESS.has(host) ? [] : [host])];
  const all = [...named, ...hostNames(hostname()), 'localhost', '127.0.0.1', '::1', ...addresses()];
  return [...new Set(all.map((name) => name.toLowerCase()).filter(isCertificateName))];
}

/** `nas` → nas, nas.local; `nas.example.org` → nas.example.org, nas, nas.local. */
function hostNames(name: string): string[] {
  const [first = name] = name.split('.');
  if (first === 'localhost' || isIP(name) !== 0) return [name];
  return [name, first, `${first}.local`];
}

function addresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((each = []) => each);
  return all
    .filter(({ address, scopeid }) => address !== '' && (scopeid ?? 0) === 0)
    .map(({ address }) => address)
    .sort()
    .slice(0, MAX_ADDRESSES);
}

import type { Request } from 'express';
import type { Configuration } from '../config/configuration.js';

/** Where clients reach the registry. */
export interface RegistryAddress {
  readonly scheme: 'http' | 'https';
  /** A host name or an IP address, with the port unless it is the scheme's. Safe in HTML and in a shell. */
  readonly host: string;
}

/**
 * A host as image names have it: a name, an IPv4 address or a bracketed IPv6 address, with an optional port.
 * A `Host` header may contain more (`$`, `;`, `(`), which must not get into commands that people paste.
 */
const HOST = /^(?:\[[\da-f:.]+\]|[a-z\d](?:[a-z\d._-]*[a-z\d])?)(?::\d{1,5})?$/i;
const MAX_LENGTH = 261;

/**
 * The address that the client used: from the headers of a trusted proxy, otherwise from `Host`. If that is
 * not a host name, the address of the connection.
 */
export function registryAddress(request: Request): RegistryAddress {
  const scheme = request.protocol === 'https' ? 'https' : 'http';
  // HTTP/1.0 has requests without `Host`.
  const host = (request.host as string | undefined) ?? '';
  if (host.length <= MAX_LENGTH && HOST.test(host)) return { scheme, host };
  const { localAddress = 'localhost', localPort } = request.socket;
  const name = localAddress.includes(':') ? `[${localAddress}]` : localAddress;
  return { scheme, host: localPort === undefined ? name : `${name}:${localPort}` };
}

/** Where clients are told to reach the registry: `PUBLIC_URL`, or the address that this one used. */
export function publicAddress(
  request: Request,
  { publicUrl }: Pick<Configuration, 'publicUrl'>,
): RegistryAddress {
  if (publicUrl === undefined) return registryAddress(request);
  const { protocol, host } = new URL(publicUrl);
  return { scheme: protocol === 'https:' ? 'https' : 'http', host };
}

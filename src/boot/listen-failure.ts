import type { Configuration } from '../config/configuration.js';

/** Says why Berth can't listen on HOST and PORT, and what to do. */
export function describeListenFailure(
  cause: unknown,
  { host, port }: Pick<Configuration, 'host' | 'port'>,
): string {
  const { code, syscall } = Object(cause) as { code?: unknown; syscall?: unknown };
  if (syscall === 'getaddrinfo')
    return `HOST (${host}) is neither an IP address nor a host name that resolves: set HOST to an address of this machine.`;
  switch (code) {
    case 'EADDRINUSE':
      return `Address ${host}:${port} (HOST and PORT) is in use by another process: stop it, or set PORT to a free port.`;
    case 'EACCES':
      return `This user may not listen on port ${port} (PORT): set PORT to 1024 or above.`;
    case 'EADDRNOTAVAIL':
      return `HOST (${host}) is not an address of this machine: set HOST to one, or to 0.0.0.0 for all of them.`;
    default:
      return `Berth can't listen on ${host}:${port}, the address of HOST and PORT (${String(code)}).`;
  }
}

import type { Configuration } from '../config/configuration.js';

/** Says why Berth can't listen on HOST and PORT, and what to do. */
export function describeListenFailure(
  cause: unknown,
  { host, port }: Pick<Configuration, 'host' | 'port'>,
): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  switch (code) {
    case 'EADDRINUSE':
      return `Address ${host}:${port} (HOST and PORT) is in use by another process: stop it, or set PORT to a free port.`;
    case 'EACCES':
      return 'This user may not listen on PORT: set PORT to 1024 or above.';
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'HOST is not an address of this machine.';
    default:
      return `Berth can't listen on ${host}:${port}, the address of HOST and PORT (${String(code)}).`;
  }
}

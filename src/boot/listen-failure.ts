/** The sentence for an operator whose HOST and PORT can't be listened on. */
export function describeListenFailure(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  switch (code) {
    case 'EADDRINUSE':
      return 'Another process listens on the address of HOST and PORT: stop it, or set PORT to a free one.';
    case 'EACCES':
      return 'PORT may not be opened by this user: set PORT to 1024 or above.';
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'HOST is not an address of this machine.';
    default:
      return `The address of HOST and PORT can't be listened on (${String(code)}).`;
  }
}

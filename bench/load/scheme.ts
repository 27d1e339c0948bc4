const TLS = 'BENCH_TLS';

/**
 * Makes this process, and those that it forks from now on, use https. They accept any certificate: the one of
 * a run is new.
 */
export function useTls(): void {
  process.env[TLS] = '1';
  process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
}

export function usesTls(): boolean {
  return process.env[TLS] === '1';
}

/**
 * Environments in which a program does not use the SHA instructions of an x86 processor, so that a machine
 * with them can measure as one without.
 */
export const WITHOUT_SHA = {
  /** Node and PostgreSQL: OPENSSL_ia32cap(3), bit 29 of EBX of CPUID leaf 7. */
  berth: { OPENSSL_ia32cap: ':~0x20000000' },
  /** Go since 1.21; before, it has no code with these instructions. */
  peer: { GODEBUG: 'cpu.sha=off' },
} as const;

/** `OPENSSL_ia32cap=… for Berth, GODEBUG=… for the peer` */
export function withoutShaText(): string {
  const text = (env: Readonly<Record<string, string>>): string =>
    Object.entries(env)
      .map(([name, value]) => `${name}=${value}`)
      .join(' ');
  return `${text(WITHOUT_SHA.berth)} for Berth, ${text(WITHOUT_SHA.peer)} for the peer`;
}

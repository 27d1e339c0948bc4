/** Settings with which a Berth reads all bodies through Node's HTTP parser. */
export const ORDINARY_BODIES: Readonly<Record<string, string>> = { DIRECT_READS: 'false' };

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';

/** Where a replica is: an origin, and one of the addresses of its host. */
export interface ReplicaAddress {
  readonly origin: URL;
  readonly address: string;
}

/**
 * Resolves the origins of `FRONT_REPLICAS`. A name with several addresses is several replicas.
 *
 * @returns those that could be resolved, and the errors of the others.
 */
export async function resolveReplicas(
  origins: readonly string[],
): Promise<{ readonly found: ReplicaAddress[]; readonly errors: Error[] }> {
  const found: ReplicaAddress[] = [];
  const errors: Error[] = [];
  await Promise.all(
    origins.map(async (text) => {
      const origin = new URL(text);
      try {
        for (const address of await addressesOf(origin)) found.push({ origin, address });
      } catch (error) {
        errors.push(error instanceof Error ? error : new Error(String(error)));
      }
    }),
  );
  return { found, errors };
}

async function addressesOf({ hostname }: URL): Promise<string[]> {
  const host = hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) !== 0) return [host];
  const addresses = await lookup(host, { all: true });
  return [...new Set(addresses.map(({ address }) => address))];
}

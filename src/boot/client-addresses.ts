import { lookup } from 'node:dns/promises';
import { hostname, networkInterfaces } from 'node:os';
import type { Configuration } from '../config/configuration.js';

const ANY_ADDRESS = new Set(['0.0.0.0', '::']);

/** Interfaces between this machine and its own containers and virtual machines: their addresses come last. */
const VIRTUAL = /^(br-|bridge|cni|docker|lxc|podman|tap|tun|utun|veth|virbr|vmnet)/;

/** More are of no help to a reader. */
const MAX_ADDRESSES = 4;

/** How long names may take to resolve. */
const LOOKUP_MS = 1_000;

/** A name or an address of this machine, as `networkInterfaces` has it. */
type Interfaces = ReturnType<typeof networkInterfaces>;

/**
 * The names and addresses by which clients reach a server that listens on `host`, the best first: an address
 * works without a name service. For `0.0.0.0` and `::` these are the machine's addresses, without loopback
 * and link-local ones, and the machine's names that resolve to one of them.
 */
export async function clientHosts(
  { host }: Pick<Configuration, 'host'>,
  interfaces: Interfaces = networkInterfaces(),
  name = hostname(),
  resolve: (name: string) => Promise<string[]> = addressesOf,
): Promise<string[]> {
  if (!ANY_ADDRESS.has(host)) return [host];
  const all = addresses(interfaces, host === '::');
  const candidates = [...new Set([name, `${name.split('.')[0] ?? name}.local`])];
  const resolved = await Promise.all(
    candidates.map(async (candidate) => {
      const found = await resolve(candidate).catch(() => []);
      return found.some((address) => all.includes(address)) ? [candidate] : [];
    }),
  );
  const hosts = [...all.slice(0, MAX_ADDRESSES), ...resolved.flat()];
  return hosts.length === 0 ? ['localhost'] : hosts;
}

/** IPv4 first: more clients use it. */
function addresses(interfaces: Interfaces, withIpv6: boolean): string[] {
  const all = Object.entries(interfaces).flatMap(([name, list = []]) =>
    list.map(({ address, family, internal }) => ({
      ...{ address, family, internal },
      rank: (VIRTUAL.test(name) ? 2 : 0) + (family === 'IPv4' ? 0 : 1),
    })),
  );
  return all
    .filter(
      ({ internal, family, address }) => !internal && (family === 'IPv4' || withIpv6) && !isLocal(address),
    )
    .sort((a, b) => a.rank - b.rank)
    .map(({ address }) => address);
}

/** Link-local addresses have a meaning on one network only, and in IPv6 not without its name. */
function isLocal(address: string): boolean {
  return /^(fe[89ab].:|169\.254\.)/i.test(address);
}

async function addressesOf(name: string): Promise<string[]> {
  const timeout = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error('timeout')), LOOKUP_MS).unref();
  });
  const found = await Promise.race([lookup(name, { all: true }), timeout]);
  return found.map(({ address }) => address);
}

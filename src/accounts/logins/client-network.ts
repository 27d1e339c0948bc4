import { isIPv6 } from 'node:net';

/** The network of clients whose address is not known. */
const UNKNOWN = 'unknown';

/**
 * Whose failed logins are counted together: an IPv4 address, or the /64 network of an IPv6 address, since
 * each host of it can have any number of addresses. An IPv4-mapped address counts as IPv4.
 */
export function clientNetwork(clientAddress: string | null): string {
  const [address = ''] = (clientAddress ?? '').split('%');
  if (!isIPv6(address)) return address === '' ? UNKNOWN : address;
  const groups = groupsOf(address);
  const [, , , , , mark, high = 0, low = 0] = groups;
  if (mark === 0xffff && groups.slice(0, 5).every((group) => group === 0)) {
    return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
  }
  const prefix = groups.slice(0, 4).map((group) => group.toString(16));
  return `${prefix.join(':')}::/64`;
}

/** The eight groups of an IPv6 address. */
function groupsOf(address: string): number[] {
  // A URL writes the last 32 bits as groups too, and zeros as `::` at most once.
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [before = '', after = ''] = canonical.split('::');
  const [head, tail] = [before, after].map((part) => (part === '' ? [] : part.split(':'))) as [
    string[],
    string[],
  ];
  const zeros = Array<string>(8 - head.length - tail.length).fill('0');
  return [...head, ...zeros, ...tail].map((group) => parseInt(group, 16));
}

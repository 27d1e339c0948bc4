import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { clientNetwork } from './client-network.js';

describe('clientNetwork', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::FFFF:c000:207', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::1', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:db8:0:0:1::', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['fe80::2', 'fe80:0:0:0::/64'],
    ['64:ff9b::192.0.2.7', '64:ff9b:0:0::/64'],
    [null, 'unknown'],
    ['', 'unknown'],
  ])('is, for %s, %s', (address, network) => expect(clientNetwork(address)).toBe(network));

  it('is the same for all addresses of a /64, and for no other', () => {
    const groups = fc.array(fc.nat(0xffff), { minLength: 4, maxLength: 4 });
    const text = (all: number[]) => all.map((group) => group.toString(16)).join(':');
    fc.assert(
      fc.property(groups, groups, groups, (prefix, host, other) => {
        fc.pre(prefix.some((group) => group !== 0) && text(prefix) !== text(other));
        const network = clientNetwork(text([...prefix, ...host]));
        expect(network).toBe(`${text(prefix)}::/64`);
        expect(clientNetwork(text([...prefix, ...other]))).toBe(network);
        expect(clientNetwork(text([...other, ...host]))).not.toBe(network);
      }),
    );
  });
});

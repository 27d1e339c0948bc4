import type { NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import { describe, expect, it } from '@jest/globals';
import { clientHosts } from './client-addresses.js';

const info = (address: string, internal = false) =>
  ({ address, internal, family: address.includes(':') ? 'IPv6' : 'IPv4' }) as NetworkInterfaceInfo;

const MACHINE: ReturnType<typeof networkInterfaces> = {
  lo: [info('127.0.0.1', true), info('::1', true)],
  docker0: [info('172.17.0.1')],
  eth0: [info('fe80::1'), info('2001:db8::10'), info('192.168.1.10')],
  eth1: [info('169.254.3.4')],
};

const NAMES: Readonly<Record<string, string[]>> = {
  nas: ['127.0.1.1'],
  'nas.local': ['192.168.1.10'],
  'nas.example.org': ['192.168.1.10', '2001:db8::10'],
};

const hostsOf = (host: string, name = 'nas', interfaces = MACHINE) =>
  clientHosts({ host }, interfaces, name, (asked) => {
    const found = NAMES[asked];
    return found === undefined ? Promise.reject(new Error('ENOTFOUND')) : Promise.resolve(found);
  });

describe('clientHosts', () => {
  it.each([
    ['127.0.0.1', ['127.0.0.1']],
    ['registry.example', ['registry.example']],
    ['192.168.1.10', ['192.168.1.10']],
    ['0.0.0.0', ['192.168.1.10', '172.17.0.1', 'nas.local']],
    ['::', ['192.168.1.10', '2001:db8::10', '172.17.0.1', 'nas.local']],
  ])('of %s', async (host, hosts) => expect(await hostsOf(host)).toEqual(hosts));

  it('names the full name of the machine, if it resolves to it', async () => {
    expect(await hostsOf('0.0.0.0', 'nas.example.org')).toContain('nas.example.org');
    expect(await hostsOf('0.0.0.0', 'unknown.example.org')).toEqual(['192.168.1.10', '172.17.0.1']);
  });

  it('names at most four addresses, and localhost without any', async () => {
    const many = Array.from({ length: 20 }, (_, index) => info(`10.0.0.${index}`));
    expect(await hostsOf('0.0.0.0', 'unknown', { eth0: many })).toHaveLength(4);
    expect(await hostsOf('0.0.0.0', 'unknown', {})).toEqual(['localhost']);
  });
});

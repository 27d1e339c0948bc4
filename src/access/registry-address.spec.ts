import { describe, expect, it } from '@jest/globals';
import type { Request } from 'express';
import { publicAddress, registryAddress } from './registry-address.js';

function requestTo(host: string | undefined, protocol = 'http', localAddress = '10.0.0.7'): Request {
  return { host, protocol, socket: { localAddress, localPort: 5000 } } as unknown as Request;
}

describe('registryAddress', () => {
  it.each([
    '127.0.0.1:5000',
    'localhost',
    'registry.example.com',
    'registry-2.Example.com:443',
    'my_upstream',
    '[::1]:5000',
    '[fe80::1]',
  ])('takes the host of the request: %s', (host) => {
    expect(registryAddress(requestTo(host))).toEqual({ scheme: 'http', host });
  });

  it.each([
    undefined,
    '',
    '$(reboot)',
    'a;reboot',
    "a'b",
    'a&b',
    '<b>',
    'a b',
    'a/b',
    'user@host',
    ':5000',
    'a:',
    'a:123456',
    '.a',
    '-a',
    '[::1',
    'a%20b',
    'a\n',
    'a'.repeat(262),
  ])('takes the address of the connection for a Host that is not a host name: %j', (host) => {
    expect(registryAddress(requestTo(host))).toEqual({ scheme: 'http', host: '10.0.0.7:5000' });
  });

  it('brackets an IPv6 address of the connection', () => {
    expect(registryAddress(requestTo(undefined, 'http', '::1')).host).toBe('[::1]:5000');
  });

  it.each([
    ['https', 'https'],
    ['http', 'http'],
    ['javascript', 'http'],
  ])('has http or https as its scheme: %s', (protocol, scheme) => {
    expect(registryAddress(requestTo('a', protocol)).scheme).toBe(scheme);
  });
});

describe('publicAddress', () => {
  it.each([
    ['https://registry.example.org', { scheme: 'https', host: 'registry.example.org' }],
    ['http://registry.example.org:8080', { scheme: 'http', host: 'registry.example.org:8080' }],
    [undefined, { scheme: 'http', host: 'proxy' }],
  ])('of %s', (publicUrl, address) => {
    expect(publicAddress(requestTo('proxy'), { publicUrl })).toEqual(address);
  });
});

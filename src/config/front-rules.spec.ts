import { describe, expect, it } from '@jest/globals';
import { loadConfiguration } from './load-configuration.js';

const FRONT = { ROLE: 'front', FRONT_REPLICAS: 'http://10.0.0.1:5000' };
const FILES = { TLS_CERT_FILE: 'tls.crt', TLS_KEY_FILE: 'tls.key' };

describe('the settings of a front', () => {
  it.each([
    [FRONT, 'off', ['http://10.0.0.1:5000']],
    [
      { ...FRONT, FRONT_REPLICAS: 'https://[::1]:5000, http://berth' },
      'off',
      ['https://[::1]:5000', 'http://berth'],
    ],
    [{ ...FRONT, FRONT_REPLICAS: 'http://10.0.0.1:5000/' }, 'off', ['http://10.0.0.1:5000/']],
    [{ ...FRONT, HOST: '0.0.0.0', TLS: 'off' }, 'off', ['http://10.0.0.1:5000']],
    [{ ...FRONT, HOST: '0.0.0.0', ...FILES }, 'files', ['http://10.0.0.1:5000']],
  ])('%j: TLS is %s', (environment, mode, replicas) => {
    const { tlsMode, frontReplicas } = loadConfiguration(environment);
    expect([tlsMode, frontReplicas]).toEqual([mode, replicas]);
  });

  it.each([
    [{ ROLE: 'front' }, 'ROLE=front requires FRONT_REPLICAS, the origins of its replicas'],
    [{ ROLE: 'proxy' }, 'ROLE – expected one of replica, front'],
    ...[
      ['http://10.0.0.1/v2', 'number 1 is http://10.0.0.1/v2'],
      ['http://a,10.0.0.1:5000', 'number 2 is 10.0.0.1:5000'],
      ['ftp://a', 'number 1 is ftp://a'],
      ['http://a//', 'number 1 is http://a//'],
      ['http://*', 'number 1 is http://*'],
      ['http://a:80', 'number 1 is http://a:80'],
      ['http://a,', 'number 2 is empty'],
      ['http://user:sesame@a', 'number 1 is not one.'],
    ].map(([FRONT_REPLICAS = '', problem = '']): [Record<string, string>, string] => [
      { ROLE: 'front', FRONT_REPLICAS },
      'FRONT_REPLICAS – expected origins of replicas, such as http://10.0.0.1:5000, separated by commas, ' +
        `without a path; ${problem}`,
    ]),
    [{ ...FRONT, TLS: 'auto' }, 'ROLE=front can not have TLS=auto'],
    [{ ...FRONT, HOST: '0.0.0.0', TLS: 'auto' }, 'ROLE=front can not have TLS=auto'],
    [
      { ...FRONT, HOST: '0.0.0.0' },
      'ROLE=front on a network requires TLS_CERT_FILE and TLS_KEY_FILE; or TLS=off',
    ],
    [
      { ...FRONT, FRONT_RETRY_SECONDS: '0' },
      'FRONT_RETRY_SECONDS – expected a number of seconds from 1 to 3600',
    ],
    [
      { ...FRONT, FRONT_BUFFER_BYTES: '1048576' },
      'FRONT_BUFFER_BYTES – expected a number of bytes from 33554432',
    ],
  ])('%j is refused: %s', (environment, message) => {
    expect(() => loadConfiguration(environment)).toThrow(message);
  });

  it('leaves a replica as it is', () => {
    expect(loadConfiguration({})).toMatchObject({ role: 'replica', frontReplicas: [] });
  });
});

import { describe, expect, it } from '@jest/globals';
import { loadConfiguration } from './load-configuration.js';

const FILES = { TLS_CERT_FILE: 'tls.crt', TLS_KEY_FILE: '/etc/tls.key' };
const NETWORK = { HOST: '0.0.0.0' };

describe('the settings of TLS', () => {
  it.each([
    [{}, 'off'],
    [{ HOST: 'localhost' }, 'off'],
    [{ ACCESS_MODE: 'token' }, 'off'],
    [NETWORK, 'auto'],
    [{ HOST: 'nas.local' }, 'auto'],
    [{ ...NETWORK, ACCESS_MODE: 'token' }, 'auto'],
    [{ ...NETWORK, ACCESS_MODE: 'open' }, 'off'],
    [{ ...NETWORK, ACCESS_MODE: 'open', TLS: 'auto' }, 'auto'],
    [{ ...NETWORK, TLS: 'off' }, 'off'],
    [{ ...NETWORK, ...FILES }, 'files'],
    [FILES, 'files'],
    [{ ...FILES, TLS: 'files' }, 'files'],
  ])('%j: %s', (environment, mode) => {
    expect(loadConfiguration(environment).tlsMode).toBe(mode);
  });

  it.each([
    [{ TLS: 'on' }, 'TLS – expected one of files, auto, off'],
    [{ TLS: 'files' }, 'TLS=files requires both TLS_CERT_FILE and TLS_KEY_FILE'],
    [{ TLS_CERT_FILE: 'a' }, 'TLS=files requires both TLS_CERT_FILE and TLS_KEY_FILE'],
    [{ TLS_KEY_FILE: 'a' }, 'TLS_CERT_FILE and TLS_KEY_FILE require TLS=files, and TLS is off'],
    [{ ...FILES, TLS: 'auto' }, 'TLS_CERT_FILE and TLS_KEY_FILE require TLS=files, and TLS is auto'],
    [{ TLS_NAMES: 'nas' }, 'TLS_NAMES requires TLS=auto, and TLS is off'],
    [{ ...FILES, TLS_NAMES: 'nas' }, 'TLS_NAMES requires TLS=auto, and TLS is files'],
    ...['nas:5000', 'https://nas', '256.0.0.1', 'fe80::1%eth0', '*', '*.org', 'a.*.org', 'a,,b', 'a b'].map(
      (TLS_NAMES): [Record<string, string>, string] => [
        { TLS: 'auto', TLS_NAMES },
        'TLS_NAMES – expected up to 100 host names',
      ],
    ),
    [
      { TLS: 'auto', TLS_NAMES: Array.from({ length: 101 }, (_, n) => `n${n}`).join() },
      'TLS_NAMES – expected up to 100 host names',
    ],
  ])('%j is refused: %s', (environment, message) => {
    expect(() => loadConfiguration(environment)).toThrow(message);
  });

  it('has absolute paths, and a list of names', () => {
    expect(loadConfiguration(FILES)).toMatchObject({
      tlsCertFile: `${process.cwd()}/tls.crt`,
      tlsKeyFile: '/etc/tls.key',
    });
    const names = { TLS: 'auto', TLS_NAMES: 'registry.example.org, *.example.org,10.0.0.1,fd00::1' };
    expect(loadConfiguration(names).tlsNames).toEqual([
      ...['registry.example.org', '*.example.org', '10.0.0.1', 'fd00::1'],
    ]);
  });
});

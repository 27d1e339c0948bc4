import { describe, expect, it } from '@jest/globals';
import { InitialPasswordFile } from '../accounts/first-run/initial-password-file.js';
import { loadConfiguration } from '../config/load-configuration.js';
import { banner, type StartFacts, startedFields } from './banner.js';

const PASSWORD = '7k3mq-9hdmt-2v4xz-b5c8e-pqrst';
const FILE = new InitialPasswordFile('/data');

function facts(
  settings: NodeJS.ProcessEnv,
  url: string,
  found: Partial<StartFacts['berth']> = {},
): StartFacts {
  const berth = {
    ...{ url, firstAdmin: undefined, authority: undefined },
    database: { description: 'embedded PostgreSQL in /data/postgres' },
    driver: { name: 'filesystem', location: '/data/storage' },
    ...found,
  } as StartFacts['berth'];
  const hosts = url.includes('0.0.0.0') ? ['192.168.1.10', 'nas.local'] : [new URL(url).hostname];
  return { berth, configuration: loadConfiguration(settings), hosts, version: '1.2.3', startSeconds: 1 };
}

/** The lines that depend on access. */
const shown = (given: StartFacts, showsPassword = true) =>
  banner(given, showsPassword)
    .split('\n')
    .filter((line) => line !== '' && !/^Berth |^ {2}(storage|database|API docs) |^Started/.test(line));

const FIRST = { name: 'admin', initial: { text: PASSWORD, file: FILE } };

describe('banner', () => {
  it('of a registry on a network has all that the first client needs', () => {
    const given = facts({ HOST: '0.0.0.0' }, 'https://0.0.0.0:5000', {
      firstAdmin: FIRST,
      authority: '3F:A2',
    });
    expect(shown(given)).toEqual([
      '  registry  https://192.168.1.10:5000/v2/',
      '            https://nas.local:5000/v2/',
      `  access    token; sign in as admin / ${PASSWORD}   (shown once)`,
      '  TLS       own CA, SHA-256 3F:A2',
      '  clients   sudo mkdir -p /etc/docker/certs.d/192.168.1.10:5000 && ' +
        'curl -fsSk https://192.168.1.10:5000/auth/ca.crt | sudo tee /etc/docker/certs.d/192.168.1.10:5000/ca.crt',
      '  next      docker login 192.168.1.10:5000 -u admin   or   https://192.168.1.10:5000/api/docs',
      '  docker tag my-image 192.168.1.10:5000/my-image && docker push 192.168.1.10:5000/my-image',
    ]);
  });

  it('has no password for what is no terminal', () => {
    const given = facts({ HOST: '0.0.0.0' }, 'https://0.0.0.0:5000', { firstAdmin: FIRST });
    expect(banner(given, false)).not.toContain(PASSWORD);
    expect(shown(given, false)).toContain(
      '  access    token; sign in as admin with the password in /data/initial-admin-password',
    );
    expect(JSON.stringify(startedFields(given))).not.toContain(PASSWORD);
    expect(startedFields(given)).toMatchObject({
      url: 'https://0.0.0.0:5000',
      addresses: ['https://192.168.1.10:5000', 'https://nas.local:5000'],
      access: 'token',
      admin: 'admin',
      adminPasswordFile: '/data/initial-admin-password',
    });
  });

  it.each([
    [{}, 'http://127.0.0.1:5000', ['  access    open, loopback only']],
    [
      { HOST: '0.0.0.0', ACCESS_MODE: 'open' },
      'http://0.0.0.0:5000',
      ['  access    open to every client that can reach the address'],
    ],
    [{ ACCESS_MODE: 'token' }, 'http://127.0.0.1:5000', ['  access    token']],
    [{ ACCESS_MODE: 'token' }, 'http://[::1]:5000', ['  access    token']],
    [
      { HOST: '10.0.0.1' },
      'http://10.0.0.1:5000',
      [
        '  access    token',
        '  TLS       off: without a proxy that ends TLS, passwords cross the network in clear text',
      ],
    ],
    [
      { HOST: '10.0.0.1' },
      'https://10.0.0.1:5000',
      ['  access    token', '  TLS       certificate of TLS_CERT_FILE'],
    ],
    [
      { HOST: '10.0.0.1', PUBLIC_URL: 'https://registry.example.org' },
      'http://10.0.0.1:5000',
      ['  access    token', '  TLS       off: it ends at the proxy of PUBLIC_URL'],
    ],
  ])('with %j at %s says %j', (settings, url, lines) => {
    const found = shown(facts(settings, url)).filter((line) => /^ {2}(access|TLS|clients) /.test(line));
    expect(found).toEqual(lines);
  });

  it('names the setting that has the password', () => {
    const firstAdmin = { name: 'root', initial: undefined };
    const lines = shown(facts({ ACCESS_MODE: 'token' }, 'http://127.0.0.1:5000', { firstAdmin }));
    expect(lines).toContain('  access    token; sign in as root with ADMIN_PASSWORD');
    expect(lines).toContain(
      '  next      docker login 127.0.0.1:5000 -u root   or   http://127.0.0.1:5000/api/docs',
    );
  });

  it('begins with PUBLIC_URL, and leaves out the default port', () => {
    const settings = { HOST: '0.0.0.0', PUBLIC_URL: 'https://registry.example.org' };
    const lines = shown(facts(settings, 'https://0.0.0.0:443'));
    expect(lines.slice(0, 3)).toEqual([
      '  registry  https://registry.example.org/v2/',
      '            https://192.168.1.10/v2/',
      '            https://nas.local/v2/',
    ]);
    expect(lines).toContain(
      '  next      docker login registry.example.org   or   https://registry.example.org/api/docs',
    );
  });
});

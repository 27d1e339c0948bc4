import { describe, expect, it } from '@jest/globals';
import type { Request } from 'express';
import { Configuration } from '../config/configuration.js';
import type { AccessRequirement } from './access.js';
import { UnauthorizedError } from './access.errors.js';
import { Challenges } from './challenges.js';

const SIGNED_IN: AccessRequirement = { type: 'signed-in' };
const CATALOGUE: AccessRequirement = { type: 'registry', resource: 'catalog', action: 'read' };
const on = (action: 'pull' | 'push' | 'delete', isSession = false): AccessRequirement => ({
  ...{ type: 'repository', action, isSession },
});

interface Sent {
  readonly path?: string;
  readonly host?: string;
  readonly protocol?: string;
  readonly name?: string[];
}

function describeChallenge(
  requirement: AccessRequirement,
  { path = '/v2/', host = 'localhost:5000', protocol = 'http', name }: Sent = {},
  error = new UnauthorizedError(),
  settings: Partial<Configuration> = {},
): string {
  const socket = { localAddress: '10.0.0.7', localPort: 5000 };
  const request = { path, host, protocol, params: { name }, socket } as unknown as Request;
  return new Challenges(Object.assign(new Configuration(), settings)).describe(request, requirement, error);
}

describe('Challenges', () => {
  it.each<[string, AccessRequirement, string[] | undefined, string]>([
    ['the base', SIGNED_IN, undefined, ''],
    ['the catalogue', CATALOGUE, undefined, ',scope="registry:catalog:*"'],
    ['a pull', on('pull'), ['a', 'b'], ',scope="repository:a/b:pull"'],
    ['a push', on('push'), ['a'], ',scope="repository:a:pull,push"'],
    ['a session', on('push', true), ['a'], ',scope="repository:a:pull,push"'],
    ['a deletion', on('delete'), ['a'], ',scope="repository:a:delete"'],
    ['a malformed name', on('pull'), ['A"b'], ''],
  ])('names one scope: of %s', (_what, requirement, name, scope) => {
    expect(describeChallenge(requirement, { ...(name && { name }) })).toBe(
      `Bearer realm="http://localhost:5000/auth/token",service="berth"${scope}`,
    );
  });

  it.each<[string, string, string, string]>([
    ['this machine', '127.0.0.1:5000', 'http', 'http://127.0.0.1:5000'],
    ['this machine by IPv6', '[::1]:5000', 'http', 'http://[::1]:5000'],
    ['this machine over TLS', 'localhost', 'https', 'https://localhost'],
    ['a network over TLS', '192.168.1.10:5000', 'https', 'https://192.168.1.10:5000'],
    ['a network without TLS', '192.168.1.10:5000', 'http', 'https://192.168.1.10:5000'],
    ['a proxy that does not report TLS', 'registry.example.com', 'http', 'https://registry.example.com'],
    ['a name that looks local', '127.0.0.1.example.com', 'http', 'https://127.0.0.1.example.com'],
    ['a host that is none', 'a",service="b', 'http', 'https://10.0.0.7:5000'],
  ])('has the host of the request: %s', (_what, host, protocol, origin) => {
    const expected = `Bearer realm="${origin}/auth/token",service="berth"`;
    expect(describeChallenge(SIGNED_IN, { host, protocol })).toBe(expected);
  });

  it('has the settings instead', () => {
    const settings = { publicUrl: 'https://registry.example.com', authService: 'other' };
    expect(describeChallenge(SIGNED_IN, {}, undefined, settings)).toBe(
      'Bearer realm="https://registry.example.com/auth/token",service="other"',
    );
  });

  it('says why credentials do not suffice, in text that fits into quotes', () => {
    const error = new UnauthorizedError('a "b" \\ é\n', 'insufficient_scope');
    expect(describeChallenge(on('pull'), { name: ['a'] }, error)).toBe(
      'Bearer realm="http://localhost:5000/auth/token",service="berth",scope="repository:a:pull",' +
        `error="insufficient_scope",error_description="a 'b' ' ''"`,
    );
  });

  it('names no source of tokens on the admin API, which refuses them', () => {
    expect(describeChallenge(CATALOGUE, { path: '/api/v1/me' })).toBe('Bearer realm="berth"');
  });
});

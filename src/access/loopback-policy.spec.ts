import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { loadConfiguration } from '../config/load-configuration.js';
import { LoopbackPolicy } from './loopback-policy.js';

const request = (headers: Record<string, string>) => ({ headers }) as unknown as IncomingMessage;
const policy = new LoopbackPolicy(loadConfiguration({}));
const LOCAL = { host: 'localhost:5000' };
const FOREIGN = { host: 'rebound.example:5000' };

describe('LoopbackPolicy', () => {
  it.each([
    [{ host: '127.0.0.1:5000' }],
    [{ host: 'localhost:5000' }],
    [{ host: 'localhost' }],
    [{ host: '[::1]:5000' }],
    [{}],
    [{ host: '127.0.0.1:5000', origin: 'http://127.0.0.1:5000' }],
    [{ host: '127.0.0.1:5000', 'x-forwarded-host': 'registry.example' }],
    [{ host: '127.0.0.1:5000', 'x-forwarded-for': '127.0.0.1, ::1,127.0.0.9' }],
  ])('accepts %j', (headers) => expect(() => policy.refuseForeign(request(headers))).not.toThrow());

  it.each([
    [{ host: 'rebound.example:5000' }],
    [{ host: '127.0.0.1.rebound.example' }],
    [{ host: 'localhost.rebound.example' }],
    [{ host: '127.0.0.1@rebound.example' }],
    [{ host: '192.168.1.1:5000' }],
    [{ host: '' }],
    [{ host: 'rebound.example', 'x-forwarded-host': 'localhost', 'x-forwarded-for': '127.0.0.1' }],
    [{ host: '127.0.0.1:5000', 'x-forwarded-for': '192.0.2.1' }],
    [{ host: '127.0.0.1:5000', 'x-forwarded-for': '127.0.0.1, 192.0.2.1' }],
    [{ host: '127.0.0.1:5000', 'x-forwarded-for': 'unknown' }],
    [{ host: '127.0.0.1:5000', origin: 'https://page.example' }],
    [{ host: '127.0.0.1:5000', origin: 'http://127.0.0.1:8080' }],
    [{ host: '127.0.0.1:5000', origin: 'null' }],
  ])('refuses %j', (headers) =>
    expect(() => policy.refuseForeign(request(headers))).toThrow('ACCESS_MODE=open'),
  );

  describe('for requests of browsers', () => {
    const asked = (method: string, site: string, mode: string, dest: string) => () =>
      policy.refuseForeign({
        method,
        headers: { ...LOCAL, 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': dest },
      } as unknown as IncomingMessage);

    it.each([
      ['GET', 'none', 'navigate', 'document'],
      ['GET', 'same-origin', 'cors', 'empty'],
      ['DELETE', 'same-origin', 'cors', 'empty'],
      ['POST', 'none', 'navigate', 'document'],
      ['GET', 'cross-site', 'navigate', 'document'],
      ['GET', 'same-site', 'navigate', 'document'],
    ])('accepts %s %s %s %s', (...words) => expect(asked(...words)).not.toThrow());

    it.each([
      ['GET', 'cross-site', 'no-cors', 'image'],
      ['GET', 'same-site', 'no-cors', 'script'],
      ['GET', 'cross-site', 'cors', 'empty'],
      ['GET', 'cross-site', 'navigate', 'iframe'],
      ['GET', 'cross-site', 'navigate', 'object'],
      ['POST', 'cross-site', 'navigate', 'document'],
      ['POST', 'same-site', 'no-cors', 'empty'],
      ['GET', 'none, cross-site', 'no-cors', 'image'],
      ['GET', 'something-new', 'no-cors', 'image'],
    ])('refuses %s %s %s %s', (...words) => expect(asked(...words)).toThrow('other web pages'));
  });

  it('accepts everything with ACCESS_MODE=open', () => {
    const open = new LoopbackPolicy(loadConfiguration({ ACCESS_MODE: 'open' }));
    const headers = {
      host: 'registry.example',
      origin: 'https://page.example',
      'sec-fetch-site': 'cross-site',
    };
    expect(() => open.refuseForeign(request(headers))).not.toThrow();
  });

  describe('with CORS_ORIGINS', () => {
    const PAGE = 'https://ui.example.org';
    const asked = (origins: string, url: string, headers: Record<string, string>) => () =>
      new LoopbackPolicy(loadConfiguration({ CORS_ORIGINS: origins })).refuseForeign({
        method: 'DELETE',
        url,
        headers: { ...LOCAL, 'sec-fetch-site': 'cross-site', ...headers },
      } as unknown as IncomingMessage);

    it.each([
      [PAGE, '/v2/'],
      [PAGE, '/v2'],
      [PAGE, '/v2/_catalog?n=1'],
      [`http://localhost:8080,${PAGE}`, '/v2/a/tags/list'],
      ['*', '/v2/'],
    ])('accepts a page of %s on %s', (origins, url) => {
      expect(asked(origins, url, { origin: PAGE })).not.toThrow();
    });

    it.each([
      ['another page', 'https://other.example.org', '/v2/', { origin: PAGE }],
      ['the admin API', PAGE, '/api/v1/uploads', { origin: PAGE }],
      ['the admin API with *', '*', '/api/v1/uploads', { origin: PAGE }],
      ['a path that only begins like it', PAGE, '/v2x', { origin: PAGE }],
      ['an image without an Origin', '*', '/v2/', {}],
      ['a foreign host', '*', '/v2/', { ...FOREIGN, origin: PAGE }],
    ])('refuses %s', (_, origins, url, headers) => {
      expect(asked(origins, url, headers)).toThrow('ACCESS_MODE=open');
    });
  });

  describe('which remembers the last host that it accepted', () => {
    const outcomes = (...requests: Record<string, string>[]) => {
      const fresh = new LoopbackPolicy(loadConfiguration({}));
      return requests.map((headers) => {
        try {
          fresh.refuseForeign(request(headers));
          return 'let in';
        } catch {
          return 'refused';
        }
      });
    };

    it('refuses another host after it, and accepts it again', () => {
      expect(outcomes(LOCAL, FOREIGN, LOCAL, FOREIGN)).toEqual(['let in', 'refused', 'let in', 'refused']);
    });

    it('does not remember refused hosts', () => {
      expect(outcomes(FOREIGN, FOREIGN, LOCAL)).toEqual(['refused', 'refused', 'let in']);
    });

    it('accepts another local host', () => {
      expect(outcomes(LOCAL, { host: '127.0.0.1' }, LOCAL)).toEqual(['let in', 'let in', 'let in']);
    });

    it('still checks the origin', () => {
      const page = { ...LOCAL, origin: 'https://page.example' };
      const own = { ...LOCAL, origin: 'http://localhost:5000' };
      expect(outcomes(LOCAL, page, own, page)).toEqual(['let in', 'refused', 'let in', 'refused']);
    });

    it('remembers the host of a refused page, and refuses the page again', () => {
      const page = { ...LOCAL, origin: 'https://page.example' };
      expect(outcomes(page, page, LOCAL)).toEqual(['refused', 'refused', 'let in']);
    });
  });
});

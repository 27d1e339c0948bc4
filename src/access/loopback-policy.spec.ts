import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { loadConfiguration } from '../config/load-configuration.js';
import { LoopbackPolicy } from './loopback-policy.js';

const request = (headers: Record<string, string>) => ({ headers }) as unknown as IncomingMessage;
const policy = new LoopbackPolicy(loadConfiguration({}));

describe('LoopbackPolicy', () => {
  it.each([
    [{ host: '127.0.0.1:5000' }],
    [{ host: 'localhost:5000' }],
    [{ host: 'localhost' }],
    [{ host: '[::1]:5000' }],
    [{}],
    [{ host: '127.0.0.1:5000', origin: 'http://127.0.0.1:5000' }],
  ])('lets %j in', (headers) => expect(() => policy.refuseForeign(request(headers))).not.toThrow());

  it.each([
    [{ host: 'rebound.example:5000' }],
    [{ host: '127.0.0.1.rebound.example' }],
    [{ host: 'localhost.rebound.example' }],
    [{ host: '127.0.0.1@rebound.example' }],
    [{ host: '192.168.1.1:5000' }],
    [{ host: '' }],
    [{ host: '127.0.0.1:5000', origin: 'https://page.example' }],
    [{ host: '127.0.0.1:5000', origin: 'http://127.0.0.1:8080' }],
    [{ host: '127.0.0.1:5000', origin: 'null' }],
  ])('refuses %j', (headers) =>
    expect(() => policy.refuseForeign(request(headers))).toThrow('ACCESS_MODE=open'),
  );

  it('lets everything in where that is said in words', () => {
    const open = new LoopbackPolicy(loadConfiguration({ ACCESS_MODE: 'open' }));
    const headers = { host: 'registry.example', origin: 'https://page.example' };
    expect(() => open.refuseForeign(request(headers))).not.toThrow();
  });
});

import { describe, expect, it } from '@jest/globals';
import type { Request } from 'express';
import { createdToken } from './created-token.js';

describe('createdToken', () => {
  it.each([
    [undefined, '10.0.0.5:5000'],
    ['https://registry.example.org', 'registry.example.org'],
  ])('has lines to paste with PUBLIC_URL=%s', (publicUrl, host) => {
    // What Express tells of a request.
    const request = { protocol: 'http', host: '10.0.0.5:5000' } as Request;
    const secret = { id: 'x', name: 'ci', ceiling: null, expiresAt: null, secret: 'berth_x' };
    const { usage } = createdToken(request, { publicUrl }, 'ci', secret);
    expect(usage.docker).toBe(`echo berth_x | docker login ${host} --username ci --password-stdin`);
  });
});

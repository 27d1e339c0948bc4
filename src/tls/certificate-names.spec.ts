import { describe, expect, it } from '@jest/globals';
import { certificateNames } from './certificate-names.js';

describe('certificateNames', () => {
  it.each([
    ['https://Registry.Example.org:8443', 'registry.example.org'],
    ['https://[2001:db8::1]', '2001:db8::1'],
    ['https://192.0.2.7', '192.0.2.7'],
  ])('has the host of PUBLIC_URL=%s', (publicUrl, expected) => {
    const names = certificateNames({ host: '0.0.0.0', publicUrl, tlsNames: ['a.example.org'] });
    expect(names.slice(0, 2)).toEqual(['a.example.org', expected]);
    expect(names).not.toContain('0.0.0.0');
  });

  it('has each name once', () => {
    const publicUrl = 'https://localhost';
    const names = certificateNames({ host: '127.0.0.1', publicUrl, tlsNames: ['localhost', '127.0.0.1'] });
    expect(names.filter((name) => ['localhost', '127.0.0.1'].includes(name))).toHaveLength(2);
  });
});

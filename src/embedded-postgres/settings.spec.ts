import { describe, expect, it } from '@jest/globals';
import { settingArguments } from './settings.js';

describe('settingArguments', () => {
  it('opens no port and is durable', () => {
    const args = settingArguments('/d', { durable: true });
    expect(args).toEqual(expect.arrayContaining(['listen_addresses=', 'fsync=on', 'synchronous_commit=on']));
    expect(args).toContain('berth.cluster_dir=/d');
  });

  it('is not durable on request', () => {
    expect(settingArguments('/d', { durable: false })).toEqual(
      expect.arrayContaining(['listen_addresses=', 'fsync=off']),
    );
  });

  it.each([
    [undefined, 'max_connections=100'],
    [30, 'max_connections=100'],
    [400, 'max_connections=400'],
  ])('allows enough connections (%s)', (maxConnections, argument) => {
    expect(settingArguments('/d', { durable: true, maxConnections })).toContain(argument);
  });
});

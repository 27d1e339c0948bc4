import { describe, expect, it } from '@jest/globals';
import { settingArguments } from './settings.js';

describe('settingArguments', () => {
  it('opens no port and is durable', () => {
    const args = settingArguments('/d', true);
    expect(args).toEqual(expect.arrayContaining(['listen_addresses=', 'fsync=on', 'synchronous_commit=on']));
    expect(args).toContain('berth.cluster_dir=/d');
  });

  it('gives durability up when told to', () => {
    expect(settingArguments('/d', false)).toEqual(expect.arrayContaining(['listen_addresses=', 'fsync=off']));
  });
});

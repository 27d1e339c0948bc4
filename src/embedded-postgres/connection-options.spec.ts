import { describe, expect, it } from '@jest/globals';
import { StartupError } from '../common/startup.error.js';
import { embeddedConnectionOptions } from './connection-options.js';

describe('embeddedConnectionOptions', () => {
  it('names the directory of the socket', () => {
    expect(embeddedConnectionOptions('/srv/berth/postgres')).toEqual({
      host: '/srv/berth/postgres',
      port: 5432,
      user: 'berth',
      database: 'berth',
      ssl: false,
    });
  });

  it('refuses a path that is too long for a Unix socket, and says by how much', () => {
    const longest = `/${'é'.repeat(40)}`;
    expect(embeddedConnectionOptions(longest).host).toBe(longest);
    const attempt = () => embeddedConnectionOptions(`/${'é'.repeat(60)}`);
    expect(attempt).toThrow(StartupError);
    expect(attempt).toThrow(/DATA_DIR is \d+ bytes too long .+ set DATA_DIR to a shorter path/);
  });
});

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

  it('refuses a long path that leads nowhere', () => {
    expect(() => embeddedConnectionOptions(`/nowhere/${'é'.repeat(60)}`)).toThrow(StartupError);
  });
});

import { describe, expect, it } from '@jest/globals';
import { Configuration } from './configuration.js';
import { loadConfiguration, variableName } from './load-configuration.js';
import { isLoopback } from './loopback.js';

describe('loadConfiguration', () => {
  it('has a default for everything', () => {
    const configuration = loadConfiguration({});
    expect(configuration).toMatchObject({ host: '127.0.0.1', port: 5000, storageDriver: 'filesystem' });
    expect(configuration.dataDir).toBe(`${process.cwd()}/data`);
    expect(configuration.filesystemRoot).toBe(`${process.cwd()}/data/storage`);
  });

  it('names its variables after its fields', () => {
    const names = Object.keys(new Configuration()).map(variableName);
    const values = Object.fromEntries(names.map((name) => [name, 'no valid value \0']));
    for (const name of names.filter(
      (each) => !['HOST', 'DATA_DIR', 'STORAGE_FILESYSTEM_ROOT'].includes(each),
    )) {
      expect(() => loadConfiguration({ [name]: values[name] })).toThrow(name);
    }
    expect(loadConfiguration({ DATA_DIR: '/x', HOST: '127.0.0.2' })).toMatchObject({
      dataDir: '/x',
      host: '127.0.0.2',
    });
  });

  it.each([
    ['PORT', '65536'],
    ['PORT', '80a'],
    ['PORT', '1.5'],
    ['STORAGE_DRIVER', 'floppy'],
    ['UPLOAD_CHECKPOINT_BYTES', '12'],
    ['DATABASE_URL', 'mysql://secret@host'],
    ['DATABASE_URL', 'postgres://user:sec ret@ho st/db'],
    ['DATABASE_URL', 'postgres://user:100%secret@host/db'],
    ['DATABASE_URL', 'postgres://user:sec/ret@host/db'],
    ['ACCESS_MODE', 'closed'],
    ['LOG_LEVEL', 'loud'],
  ])('refuses %s=%s by name and without its value', (name, value) => {
    const attempt = () => loadConfiguration({ [name]: value });
    expect(attempt).toThrow(name);
    expect(attempt).not.toThrow(value);
  });

  it('takes an empty variable as unset', () => {
    expect(loadConfiguration({ PORT: '', DATABASE_URL: '', LOG_FORMAT: '' })).toMatchObject({ port: 5000 });
  });

  it('lets the world in only when told so in words', () => {
    expect(() => loadConfiguration({ HOST: '0.0.0.0' })).toThrow('ACCESS_MODE=open');
    expect(() => loadConfiguration({ HOST: 'registry.example' })).toThrow('ACCESS_MODE=open');
    expect(loadConfiguration({ HOST: '0.0.0.0', ACCESS_MODE: 'open' }).host).toBe('0.0.0.0');
  });
});

describe('isLoopback', () => {
  it.each(['127.0.0.1', '127.8.8.8', '::1', 'localhost', '::ffff:127.0.0.1'])('%s is', (host) =>
    expect(isLoopback(host)).toBe(true),
  );
  it.each(['0.0.0.0', '::', '10.0.0.1', 'localhost.evil.example', '::ffff:10.0.0.1', '128.0.0.1'])(
    '%s is not',
    (host) => expect(isLoopback(host)).toBe(false),
  );
});

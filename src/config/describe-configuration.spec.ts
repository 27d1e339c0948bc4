import { describe, expect, it } from '@jest/globals';
import { describeConfiguration } from './describe-configuration.js';
import { SETTINGS } from './env.js';
import { loadConfiguration } from './load-configuration.js';

const described = (environment: NodeJS.ProcessEnv, fromFile: string[] = []) =>
  describeConfiguration(loadConfiguration(environment), environment, new Set(fromFile))
    .split('\n')
    .map((line) => line.trimEnd().split(/ {2,}/));

const KEY = Buffer.from('sesame').toString('base64');

describe('describeConfiguration', () => {
  it('has each setting with its value and source', () => {
    const rows = described({ PORT: '0', LOG_LEVEL: 'debug', DATA_DIR: '' }, ['LOG_LEVEL']);
    expect(rows).toEqual(
      expect.arrayContaining([
        ['HOST', '127.0.0.1', 'default'],
        ['PORT', '0', 'environment'],
        ['LOG_LEVEL', 'debug', '.env'],
        ['DATA_DIR', `${process.cwd()}/data`, 'default'],
        ['DATABASE_URL', 'unset', 'default'],
        ['STORAGE_REDIRECT', 'true', 'default'],
      ]),
    );
    expect(rows).toHaveLength(SETTINGS.filter(({ name }) => !/^STORAGE_(S3|AZURE|GCS)_/.test(name)).length);
  });

  it('of a front has only those that it uses', () => {
    const rows = described({ ROLE: 'front', FRONT_REPLICAS: 'http://10.0.0.1:5000' });
    expect(rows).toContainEqual(['FRONT_REPLICAS', 'http://10.0.0.1:5000', 'environment']);
    const names = rows.map(([name]) => name);
    expect(names).toEqual(expect.arrayContaining(['ROLE', 'UPLOAD_CHECKPOINT_BYTES', 'LOG_FORMAT']));
    expect(names.filter((name) => /^(DATABASE|STORAGE|GC|ADMIN|AUTH|SHUTDOWN)_/.test(name ?? ''))).toEqual(
      [],
    );
    expect(rows).toHaveLength(21);
  });

  it.each<[NodeJS.ProcessEnv, string, string]>([
    [{}, 'open, loopback only', 'off'],
    [{ HOST: '0.0.0.0' }, 'token', 'auto'],
    [{ HOST: '0.0.0.0', TLS_CERT_FILE: 'tls.crt', TLS_KEY_FILE: 'tls.key' }, 'token', 'files'],
  ])('resolves defaults that depend on %j', (environment, access, tls) => {
    const rows = described(environment);
    expect(rows).toContainEqual(['ACCESS_MODE', access, 'default']);
    expect(rows).toContainEqual(['TLS', tls, 'default']);
  });

  it.each([
    ['postgres://berth:sesame@db/berth', 'postgres://berth:***@db/berth'],
    ['postgres://berth@db:5433/berth', 'postgres://berth@db:5433/berth'],
    ['postgres://db/berth?user=berth&password=sesame', 'postgres://db/berth?…'],
    ['postgres://berth:sesame@%2Frun%2Fpg/berth', 'postgres://berth:***@%2Frun%2Fpg/berth'],
  ])('shows %s without the password', (url, shown) => {
    expect(described({ DATABASE_URL: url })).toContainEqual(['DATABASE_URL', shown, 'environment']);
  });

  it.each<NodeJS.ProcessEnv>([
    {
      STORAGE_DRIVER: 's3',
      STORAGE_S3_BUCKET: 'layers',
      STORAGE_S3_ACCESS_KEY_ID: KEY,
      STORAGE_S3_SECRET_ACCESS_KEY: KEY,
    },
    {
      STORAGE_DRIVER: 'azure',
      STORAGE_AZURE_CONTAINER: 'layers',
      STORAGE_AZURE_CONNECTION_STRING: `Key=${KEY}`,
    },
    {
      STORAGE_DRIVER: 'azure',
      STORAGE_AZURE_CONTAINER: 'layers',
      STORAGE_AZURE_ACCOUNT_NAME: 'berth',
      STORAGE_AZURE_ACCOUNT_KEY: KEY,
    },
  ])('shows no secret of $STORAGE_DRIVER', (environment) => {
    const rows = described(environment);
    expect(JSON.stringify(rows)).not.toContain(KEY.replaceAll('=', ''));
    expect(rows).toContainEqual([expect.any(String), '(not shown)', 'environment']);
    expect(rows.map(([name]) => name)).not.toContain('STORAGE_GCS_BUCKET');
  });

  it('hides every setting whose name says that it is a secret', () => {
    const secret = /(SECRET|PASSWORD|TOKEN|ACCESS_KEY|ACCOUNT_KEY$|CONNECTION_STRING)(?!.*_(FILE|SECONDS)$)/;
    const shown = SETTINGS.filter(({ name, show }) => secret.test(name) && show('sesame').includes('sesame'));
    expect(shown).toEqual([]);
  });

  it('keeps a value on its line', () => {
    expect(described({ DATA_DIR: '/a\nb' })).toContainEqual(['DATA_DIR', '"/a\\nb"', 'environment']);
  });
});

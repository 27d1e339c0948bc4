import { describe, expect, it } from '@jest/globals';
import { AzureSettings } from './azure.settings.js';
import { Configuration } from './configuration.js';
import { GcsSettings } from './gcs.settings.js';
import { loadConfiguration, variableName } from './load-configuration.js';
import { isLoopback } from '../common/loopback.js';
import { S3Settings } from './s3.settings.js';

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
    for (const name of names.filter((each) => !/^DATA_DIR$|_ROOT$|_FILE$/.test(each))) {
      expect(() => loadConfiguration({ [name]: values[name] })).toThrow(name);
    }
    expect(loadConfiguration({ DATA_DIR: '/x', HOST: '127.0.0.2' })).toMatchObject({
      dataDir: '/x',
      host: '127.0.0.2',
    });
  });

  it.each([
    [S3Settings, 's3'],
    [AzureSettings, 'azure'],
    [GcsSettings, 'gcs'],
  ] as const)('names the variables of %p after its fields', (settings, driver) => {
    for (const name of Object.keys(new settings()).map(variableName)) {
      expect(name).toMatch(new RegExp(`^STORAGE_${driver.toUpperCase()}_`));
      if (name === 'STORAGE_GCS_KEY_FILE') continue;
      expect(() => loadConfiguration({ STORAGE_DRIVER: driver, [name]: ' no valid\nvalue ' })).toThrow(name);
    }
    expect(() => loadConfiguration({ STORAGE_DRIVER: driver })).toThrow(/BUCKET|CONTAINER/);
  });

  it('reads the settings of the object store in use, and no others', () => {
    const bucket = { STORAGE_S3_BUCKET: 'layers', STORAGE_GCS_BUCKET: 'layers' };
    const account = { STORAGE_AZURE_CONTAINER: 'layers', STORAGE_AZURE_ACCOUNT_NAME: 'berth' };
    const all = { ...bucket, ...account };
    expect(loadConfiguration({ ...all, STORAGE_DRIVER: 's3' }).s3?.storageS3Bucket).toBe('layers');
    expect(loadConfiguration({ ...all, STORAGE_DRIVER: 'azure' }).azure?.storageAzureContainer).toBe(
      'layers',
    );
    expect(loadConfiguration({ ...all, STORAGE_DRIVER: 'gcs' }).gcs?.storageGcsBucket).toBe('layers');
    const { s3, azure, gcs } = loadConfiguration({ ...all, STORAGE_S3_REGION: '?' });
    expect([s3, azure, gcs]).toEqual([undefined, undefined, undefined]);
  });

  it.each([
    [{ STORAGE_S3_ACCESS_KEY_ID: 'id' }, 'STORAGE_S3_SECRET_ACCESS_KEY'],
    [{ STORAGE_S3_SECRET_ACCESS_KEY: 'sesame' }, 'STORAGE_S3_ACCESS_KEY_ID'],
    [{ STORAGE_S3_ENDPOINT: 'https://key:sesame@host' }, 'STORAGE_S3_ENDPOINT'],
    [{ STORAGE_S3_PREFIX: 'a/../b/' }, 'STORAGE_S3_PREFIX'],
    [{ STORAGE_S3_PREFIX: 'no-slash' }, 'STORAGE_S3_PREFIX'],
    [{ STORAGE_ADOPT: 'yes' }, 'STORAGE_ADOPT'],
    [{ DATABASE_ACCEPT_NEWER: 'yes' }, 'DATABASE_ACCEPT_NEWER'],
    [{ MAX_CONNECTIONS: '0' }, 'MAX_CONNECTIONS'],
    [{ UPLOAD_MAX_BODIES: '-1' }, 'UPLOAD_MAX_BODIES'],
    [{ UPLOAD_MAX_SESSIONS: 'many' }, 'UPLOAD_MAX_SESSIONS'],
    [{ UPLOAD_MAX_SESSIONS_PER_REPOSITORY: '1e9' }, 'UPLOAD_MAX_SESSIONS_PER_REPOSITORY'],
    [{ STORAGE_S3_PART_SIZE_BYTES: '1e7' }, 'STORAGE_S3_PART_SIZE_BYTES'],
    [{ STORAGE_S3_PART_SIZE_BYTES: '0x800000' }, 'STORAGE_S3_PART_SIZE_BYTES'],
    [{ STORAGE_S3_SSE_KMS_KEY_ID: 'sesame' }, 'STORAGE_S3_SERVER_SIDE_ENCRYPTION'],
    [
      { STORAGE_S3_SSE_KMS_KEY_ID: 'sesame', STORAGE_S3_SERVER_SIDE_ENCRYPTION: 'AES256' },
      'STORAGE_S3_SERVER_SIDE_ENCRYPTION',
    ],
  ])('refuses %j with s3, naming %s', (environment, name) => {
    const attempt = () =>
      loadConfiguration({ STORAGE_DRIVER: 's3', STORAGE_S3_BUCKET: 'layers', ...environment });
    expect(attempt).toThrow(name);
    expect(attempt).not.toThrow('sesame');
  });

  it('accepts host names with underscores, sizes in digits, and a KMS key with its encryption', () => {
    const { s3 } = loadConfiguration({
      STORAGE_DRIVER: 's3',
      STORAGE_S3_BUCKET: 'layers',
      STORAGE_S3_ENDPOINT: 'http://object_store:9000',
      STORAGE_S3_PART_SIZE_BYTES: '10000000',
      STORAGE_S3_SSE_KMS_KEY_ID: 'key',
      STORAGE_S3_SERVER_SIDE_ENCRYPTION: 'aws:kms:dsse',
    });
    expect(s3).toMatchObject({
      storageS3Endpoint: 'http://object_store:9000',
      storageS3PartSizeBytes: 10_000_000,
      storageS3SseKmsKeyId: 'key',
    });
  });

  it.each([
    ['abc', true],
    ['a-b', true],
    ['a'.repeat(63), true],
    ['a'.repeat(64), false],
    ['a-'.repeat(32) + 'a', false],
    ['ab', false],
    ['a--b', false],
    ['-ab', false],
    ['ab-', false],
  ])('knows whether %s can be a container: %s', (name, can) => {
    const attempt = () =>
      loadConfiguration({
        STORAGE_DRIVER: 'azure',
        STORAGE_AZURE_CONTAINER: name,
        STORAGE_AZURE_ACCOUNT_NAME: 'berth',
      });
    if (can) expect(attempt().azure?.storageAzureContainer).toBe(name);
    else expect(attempt).toThrow('STORAGE_AZURE_CONTAINER');
  });

  it.each([
    [{}, 'STORAGE_AZURE_ACCOUNT_NAME'],
    [
      { STORAGE_AZURE_ACCOUNT_NAME: 'berth', STORAGE_AZURE_CONNECTION_STRING: 'Key=sesame' },
      'STORAGE_AZURE_CONNECTION_STRING',
    ],
    [
      { STORAGE_AZURE_CONNECTION_STRING: 'Key=sesame', STORAGE_AZURE_ACCOUNT_KEY: 'c2VzYW1l' },
      'STORAGE_AZURE_ACCOUNT_KEY',
    ],
  ])('refuses %j with azure, naming %s', (environment, name) => {
    const attempt = () =>
      loadConfiguration({ STORAGE_DRIVER: 'azure', STORAGE_AZURE_CONTAINER: 'layers', ...environment });
    expect(attempt).toThrow(name);
    expect(attempt).not.toThrow('sesame');
  });

  describe('GC_READ_WINDOW_SECONDS', () => {
    const s3 = { STORAGE_DRIVER: 's3', STORAGE_S3_BUCKET: 'layers' };
    const azure = {
      STORAGE_DRIVER: 'azure',
      STORAGE_AZURE_CONTAINER: 'layers',
      STORAGE_AZURE_ACCOUNT_NAME: 'berth',
    };
    const gcs = { STORAGE_DRIVER: 'gcs', STORAGE_GCS_BUCKET: 'layers' };

    it.each([s3, azure, gcs])('must be as long as a signed URL: $STORAGE_DRIVER', (store) => {
      const attempt = () => loadConfiguration({ ...store, GC_READ_WINDOW_SECONDS: '899' });
      expect(attempt).toThrow(
        /GC_READ_WINDOW_SECONDS is shorter .+ at least 900, or STORAGE_REDIRECT=false\.$/,
      );
      expect(loadConfiguration({ ...store, GC_READ_WINDOW_SECONDS: '900' }).gcReadWindowSeconds).toBe(900);
    });

    it.each<Record<string, string>>([
      { ...s3, STORAGE_REDIRECT: 'false' },
      { STORAGE_DRIVER: 'filesystem' },
      { STORAGE_DRIVER: 'memory' },
    ])('may be 0 without redirects: %j', (environment) => {
      const configuration = loadConfiguration({ ...environment, GC_READ_WINDOW_SECONDS: '0' });
      expect(configuration.gcReadWindowSeconds).toBe(0);
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
    ['DATABASE_WAIT_SECONDS', '3601'],
    ['AUDIT_RETENTION_SECONDS', '86399'],
    ['AUDIT_RETENTION_SECONDS', '315360001'],
    ['ACCESS_MODE', 'closed'],
    ['ADMIN_USERNAME', 'Admin'],
    ['ADMIN_USERNAME', '-admin'],
    ['ADMIN_USERNAME', 'q'],
    ['ADMIN_USERNAME', 'x'.repeat(65)],
    ['ADMIN_PASSWORD', 'hunter2'],
    ['ADMIN_PASSWORD', 'x'.repeat(257)],
    ['ADMIN_PASSWORD', 'two lines of\ntext'],
    ['PUBLIC_URL', 'registry.test'],
    ['PUBLIC_URL', 'https://registry.test/v2/'],
    ['PUBLIC_URL', 'https://registry.test/'],
    ['PUBLIC_URL', 'https://user:secret@registry.test'],
    ['AUTH_SERVICE', 'a "quoted" one'],
    ['AUTH_SERVICE', 'x'.repeat(129)],
    ['AUTH_TOKEN_TTL_SECONDS', '59'],
    ['AUTH_TOKEN_TTL_SECONDS', '86401'],
    ['LOG_LEVEL', 'loud'],
    ...['9100', '10.0.0.1', '10.0.0.1:', '::1:9100', '10.0.0.1:65536', '256.0.0.1:1', '[host]:1'].map(
      (address): [string, string] => ['METRICS_ADDRESS', address],
    ),
    ['CORS_ORIGINS', 'registry-ui.test'],
    ['CORS_ORIGINS', 'https://ui.example.org/'],
    ['CORS_ORIGINS', 'https://ui.example.org/path'],
    ['CORS_ORIGINS', 'https://UI.example.org'],
    ['CORS_ORIGINS', 'https://ui.example.org:443'],
    ['CORS_ORIGINS', 'https://user:secret@ui.example.org'],
    ['CORS_ORIGINS', 'https://*.example.org'],
    ['CORS_ORIGINS', 'ftp://ui.example.org'],
    ['CORS_ORIGINS', 'https://one.example.org https://other.example.org'],
    ['CORS_ORIGINS', 'https://one.example.org,'],
    ['CORS_ORIGINS', '*,https://one.example.org'],
    ['CORS_ORIGINS', 'null'],
    ['HOST', '256.0.0.1'],
    ['HOST', '127.0.0.1:5000'],
    ['HOST', 'localhost:5000'],
    ['HOST', '[::1]'],
    ['HOST', 'http://localhost'],
    ['HOST', 'two words'],
    ['TRUSTED_PROXIES', 'proxy.example'],
    ['TRUSTED_PROXIES', '10.0.0.1,,10.0.0.2'],
    ['TRUSTED_PROXIES', '10.0.0.0/33'],
    ['TRUSTED_PROXIES', '10.0.0.0/0'],
    ['TRUSTED_PROXIES', '::1/129'],
    ['TRUSTED_PROXIES', 'fe80::1%eth0'],
    ['TRUSTED_PROXIES', '10.0.0.0/8/8'],
  ])('refuses %s=%s by name and without its value', (name, value) => {
    const attempt = () => loadConfiguration({ [name]: value });
    expect(attempt).toThrow(new RegExp(`${name} .*expected `));
    expect(attempt).toThrow(/^[A-Z].*[^.]\.$/);
    expect(attempt).not.toThrow(value);
  });

  it('reports everything that is wrong in one message', () => {
    const attempt = () =>
      loadConfiguration({
        ...{ PORT: 'x', LOG_LEVEL: 'y', STORAGE_DRVER: 'z', STORAGE_DRIVER: 's3' },
        ...{ LOG_FORMT: 'json', STORAGE_S3_BUCKET: 'layers', STORAGE_S3_ACCESS_KEY_ID: 'id' },
        DATABASE_URL: 'postgres://user:sec/ret@host/db',
      });
    expect(attempt).toThrow(
      /^The configuration is invalid: Berth has no setting LOG_FORMT \(expected LOG_FORMAT\): [^;]+; PORT – [^;]+; LOG_LEVEL – [^;]+; expected both STORAGE_S3_ACCESS_KEY_ID [^;]+; DATABASE_URL can't be parsed: [^;]+[^.]\.$/,
    );
  });

  it('reports the mistyped name together with wrong values', () => {
    expect(() => loadConfiguration({ PORT: 'x', LOG_LEVEL: 'y', STORAGE_DRVER: 'z' })).toThrow(
      /no setting STORAGE_DRVER \(expected STORAGE_DRIVER\): [^;]+; PORT – [^;]+; LOG_LEVEL – /,
    );
  });

  it('reports no problem that another one causes', () => {
    const both = () => loadConfiguration({ ADMIN_PASSWORD: 'short', ADMIN_PASSWORD_FILE: '/file' });
    expect(both).toThrow(/^The configuration is invalid: ADMIN_PASSWORD – [^;]+\.$/);
    const key = () => loadConfiguration({ STORAGE_S3_ACESS_KEY_ID: 'id', STORAGE_DRIVER: 's3' });
    expect(key).toThrow(/^(?!.*or neither)/);
  });

  it('reads a list of proxies', () => {
    const { trustedProxies } = loadConfiguration({ TRUSTED_PROXIES: '10.0.0.0/8, 192.0.2.1,fd00::/8 ,::1' });
    expect(trustedProxies).toEqual(['10.0.0.0/8', '192.0.2.1', 'fd00::/8', '::1']);
    expect(loadConfiguration({}).trustedProxies).toEqual([]);
  });

  it('treats an empty variable as unset', () => {
    expect(loadConfiguration({ PORT: '', DATABASE_URL: '', LOG_FORMAT: '' })).toMatchObject({ port: 5000 });
  });

  it.each([
    ['*', ['*']],
    ['https://ui.example.org', ['https://ui.example.org']],
    ['http://localhost:8080, http://[::1]:81', ['http://localhost:8080', 'http://[::1]:81']],
  ])('reads CORS_ORIGINS=%s as %j', (value, origins) => {
    expect(loadConfiguration({ CORS_ORIGINS: value }).corsOrigins).toEqual(origins);
  });

  it.each([
    [{}, 'loopback'],
    [{ HOST: 'localhost' }, 'loopback'],
    [{ HOST: '::1', ACCESS_MODE: 'token' }, 'token'],
    [{ HOST: '::1', ACCESS_MODE: 'open' }, 'open'],
    [{ HOST: '0.0.0.0' }, 'token'],
    [{ HOST: 'registry.example' }, 'token'],
    [{ HOST: 'fe80::1%eth0' }, 'token'],
    [{ HOST: '0.0.0.0', ACCESS_MODE: 'token' }, 'token'],
    [{ HOST: '0.0.0.0', ACCESS_MODE: 'open' }, 'open'],
  ])('%j has the access %s', (environment, access) => {
    expect(loadConfiguration(environment).access).toBe(access);
  });

  it('takes a password, or a file with one', () => {
    const bytes = 'ä'.repeat(128);
    expect(loadConfiguration({ ADMIN_PASSWORD: bytes }).adminPassword).toBe(bytes);
    expect(loadConfiguration({ ADMIN_PASSWORD_FILE: 'secret' }).adminPasswordFile).toBe(
      `${process.cwd()}/secret`,
    );
    const both = () => loadConfiguration({ ADMIN_PASSWORD: 'x'.repeat(12), ADMIN_PASSWORD_FILE: '/f' });
    expect(both).toThrow('expected either ADMIN_PASSWORD or ADMIN_PASSWORD_FILE.');
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

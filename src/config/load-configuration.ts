import 'reflect-metadata';
import { resolve } from 'node:path';
import { plainToInstance } from 'class-transformer';
import { validateSync } from 'class-validator';
import { AzureSettings } from './azure.settings.js';
import { Configuration } from './configuration.js';
import { databaseUrls } from './database-url.js';
import { checkFront } from './front-rules.js';
import { GcsSettings } from './gcs.settings.js';
import { S3Settings } from './s3.settings.js';
import { InvalidSettings } from './invalid-settings.js';
import { checkReadWindow } from './object-store-rules.js';
import { mistypedNames } from './setting-names.js';
import { checkTls } from './tls-rules.js';

/** `dataDir` → `DATA_DIR`: each field is the camel case of its variable. */
export function variableName(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Makes the configuration from environment variables.
 *
 * @throws StartupError names all wrong variables and what was expected, never their values.
 */
export function loadConfiguration(environment: NodeJS.ProcessEnv): Readonly<Configuration> {
  // An empty variable (`PORT=`) counts as unset.
  const set = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const invalid = new InvalidSettings();
  checkNames(set, invalid);
  const configuration = validated(Configuration, set, invalid);
  loadObjectStore(configuration, set, invalid);
  checkReadWindow(configuration, invalid);
  checkPassword(configuration, invalid);
  checkTls(configuration, invalid);
  checkFront(configuration, invalid);
  checkUrl(configuration.databaseUrl, invalid);
  invalid.refuse();
  configuration.dataDir = resolve(configuration.dataDir);
  for (const path of ['storageFilesystemRoot', 'adminPasswordFile', 'tlsCertFile', 'tlsKeyFile'] as const) {
    if (configuration[path] !== undefined) configuration[path] = resolve(configuration[path]);
  }
  return Object.freeze(configuration);
}

/** With a mistyped name, a start would take the default: another database or storage, for example. */
function checkNames(set: Environment, invalid: InvalidSettings): void {
  const mistyped = mistypedNames(set);
  if (mistyped.length === 0) return;
  const named = mistyped.map(({ name, known }) => `${name} (expected ${known})`).join(', ');
  invalid.add(
    mistyped.map(({ known }) => known),
    `Berth has no setting ${named}: correct the name, or unset it`,
  );
}

/** Only the settings of the store in use are read. */
function loadObjectStore(configuration: Configuration, set: Environment, invalid: InvalidSettings): void {
  switch (configuration.storageDriver) {
    case 's3': {
      const s3 = validated(S3Settings, set, invalid);
      checkS3Keys(set, invalid);
      checkKmsKey(s3, invalid);
      configuration.s3 = Object.freeze(s3);
      return;
    }
    case 'azure': {
      const azure = validated(AzureSettings, set, invalid);
      checkAzureAccount(azure, invalid);
      configuration.azure = Object.freeze(azure);
      return;
    }
    case 'gcs': {
      const gcs = validated(GcsSettings, set, invalid);
      configuration.gcs = Object.freeze(gcs);
    }
  }
}

function validated<T extends object>(settings: new () => T, set: Environment, invalid: InvalidSettings): T {
  const instance = plainToInstance(settings, set, {
    excludeExtraneousValues: true,
    exposeDefaultValues: true,
  });
  for (const { property, constraints = {} } of validateSync(instance, { stopAtFirstError: true })) {
    const name = variableName(property);
    invalid.add([name], `${name} – ${Object.values(constraints).join(', ')}`);
  }
  return instance;
}

function checkS3Keys(set: Environment, invalid: InvalidSettings): void {
  const [id, secret] = ['STORAGE_S3_ACCESS_KEY_ID', 'STORAGE_S3_SECRET_ACCESS_KEY'] as const;
  if ((set[id] === undefined) !== (set[secret] === undefined)) {
    invalid.add([id, secret], `expected both ${id} and ${secret}, or neither`);
  }
}

/** With another encryption, S3 would ignore the key. */
function checkKmsKey(
  { storageS3SseKmsKeyId: key, storageS3ServerSideEncryption: by }: S3Settings,
  invalid: InvalidSettings,
): void {
  if (key !== undefined && by?.startsWith('aws:kms') !== true) {
    invalid.add(
      ['STORAGE_S3_SSE_KMS_KEY_ID', 'STORAGE_S3_SERVER_SIDE_ENCRYPTION'],
      'STORAGE_S3_SSE_KMS_KEY_ID requires STORAGE_S3_SERVER_SIDE_ENCRYPTION to be aws:kms or aws:kms:dsse',
    );
  }
}

function checkAzureAccount(azure: AzureSettings, invalid: InvalidSettings): void {
  const isNamed = azure.storageAzureAccountName !== undefined;
  if (isNamed === (azure.storageAzureConnectionString !== undefined)) {
    invalid.add(
      ['STORAGE_AZURE_ACCOUNT_NAME', 'STORAGE_AZURE_CONNECTION_STRING'],
      'expected either STORAGE_AZURE_CONNECTION_STRING or STORAGE_AZURE_ACCOUNT_NAME',
    );
  }
  if (!isNamed && azure.storageAzureAccountKey !== undefined) {
    invalid.add(
      ['STORAGE_AZURE_ACCOUNT_NAME', 'STORAGE_AZURE_ACCOUNT_KEY'],
      'STORAGE_AZURE_ACCOUNT_KEY requires STORAGE_AZURE_ACCOUNT_NAME',
    );
  }
}

function checkPassword({ adminPassword, adminPasswordFile }: Configuration, invalid: InvalidSettings): void {
  if (adminPassword !== undefined && adminPasswordFile !== undefined) {
    invalid.add(
      ['ADMIN_PASSWORD', 'ADMIN_PASSWORD_FILE'],
      'expected either ADMIN_PASSWORD or ADMIN_PASSWORD_FILE',
    );
  }
}

/** The database client would quote the whole malformed URL in its error, password included. */
function checkUrl(databaseUrl: string | undefined, invalid: InvalidSettings): void {
  if (databaseUrl === undefined) return;
  try {
    for (const { username, password, pathname } of databaseUrls(databaseUrl)) {
      [username, password, pathname].forEach(decodeURIComponent);
      // An unencoded `/` in the password ends the host early: the rest would become the database name.
      if (/[@/]/.test(pathname.slice(1))) throw new Error('ambiguous');
    }
  } catch {
    invalid.add(
      ['DATABASE_URL'],
      "DATABASE_URL can't be parsed: expected postgres://user:password@host:port/database, with special " +
        'characters percent-encoded, several hosts separated by commas, and target_session_attrs either ' +
        'read-write or unset',
    );
  }
}

import 'reflect-metadata';
import { resolve } from 'node:path';
import { plainToInstance } from 'class-transformer';
import { validateSync, type ValidationError } from 'class-validator';
import { AzureSettings } from './azure.settings.js';
import { Configuration } from './configuration.js';
import { GcsSettings } from './gcs.settings.js';
import { isLoopback } from '../common/loopback.js';
import { S3Settings } from './s3.settings.js';
import { mistypedNames } from './setting-names.js';
import { StartupError } from '../common/startup.error.js';

/** `dataDir` → `DATA_DIR`: each field is the camel case of its variable. */
export function variableName(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

/**
 * Makes the configuration from environment variables.
 *
 * @throws StartupError names each wrong variable and what was expected, never its value.
 */
export function loadConfiguration(environment: NodeJS.ProcessEnv): Readonly<Configuration> {
  // An empty variable (`PORT=`) counts as unset.
  const set = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  refuseMistypedNames(set);
  const configuration = validated(Configuration, set);
  loadObjectStore(configuration, set);
  refuseUnintendedExposure(configuration);
  if (configuration.databaseUrl !== undefined) refuseUnreadableUrl(configuration.databaseUrl);
  configuration.dataDir = resolve(configuration.dataDir);
  if (configuration.storageFilesystemRoot !== undefined) {
    configuration.storageFilesystemRoot = resolve(configuration.storageFilesystemRoot);
  }
  return Object.freeze(configuration);
}

/** With a mistyped name, a start would take the default: another database or storage, for example. */
function refuseMistypedNames(set: Record<string, string | undefined>): void {
  const mistyped = mistypedNames(set).map(({ name, known }) => `${name} (expected ${known})`);
  if (mistyped.length === 0) return;
  throw new StartupError(
    `The configuration is invalid: Berth has no setting ${mistyped.join(', ')}: correct the name, or unset it.`,
  );
}

/** Only the settings of the store in use are read. */
function loadObjectStore(configuration: Configuration, set: Record<string, string | undefined>): void {
  switch (configuration.storageDriver) {
    case 's3': {
      const s3 = validated(S3Settings, set);
      refusePartialPair('STORAGE_S3_ACCESS_KEY_ID', 'STORAGE_S3_SECRET_ACCESS_KEY', set);
      refuseUnusedKmsKey(s3);
      configuration.s3 = Object.freeze(s3);
      return;
    }
    case 'azure': {
      const azure = validated(AzureSettings, set);
      refuseAzureWithoutAccount(azure);
      configuration.azure = Object.freeze(azure);
      return;
    }
    case 'gcs': {
      const gcs = validated(GcsSettings, set);
      configuration.gcs = Object.freeze(gcs);
    }
  }
}

function validated<T extends object>(settings: new () => T, set: Record<string, string | undefined>): T {
  const instance = plainToInstance(settings, set, {
    excludeExtraneousValues: true,
    exposeDefaultValues: true,
  });
  const problems = validateSync(instance, { stopAtFirstError: true });
  if (problems.length > 0) {
    throw new StartupError(`The configuration is invalid: ${problems.map(describe).join('; ')}.`);
  }
  return instance;
}

function refusePartialPair(one: string, other: string, set: Record<string, string | undefined>): void {
  if ((set[one] === undefined) !== (set[other] === undefined)) {
    throw new StartupError(`The configuration is invalid: expected both ${one} and ${other}, or neither.`);
  }
}

/** With another encryption, S3 would ignore the key. */
function refuseUnusedKmsKey({
  storageS3SseKmsKeyId: key,
  storageS3ServerSideEncryption: by,
}: S3Settings): void {
  if (key !== undefined && by?.startsWith('aws:kms') !== true) {
    throw new StartupError(
      'The configuration is invalid: STORAGE_S3_SSE_KMS_KEY_ID requires ' +
        'STORAGE_S3_SERVER_SIDE_ENCRYPTION to be aws:kms or aws:kms:dsse.',
    );
  }
}

function refuseAzureWithoutAccount(azure: AzureSettings): void {
  const isNamed = azure.storageAzureAccountName !== undefined;
  if (isNamed === (azure.storageAzureConnectionString !== undefined)) {
    throw new StartupError(
      'The configuration is invalid: expected either STORAGE_AZURE_CONNECTION_STRING or ' +
        'STORAGE_AZURE_ACCOUNT_NAME.',
    );
  }
  if (!isNamed && azure.storageAzureAccountKey !== undefined) {
    throw new StartupError(
      'The configuration is invalid: STORAGE_AZURE_ACCOUNT_KEY requires STORAGE_AZURE_ACCOUNT_NAME.',
    );
  }
}

function describe(problem: ValidationError): string {
  return `${variableName(problem.property)} – ${Object.values(problem.constraints ?? {}).join(', ')}`;
}

/** There is no access control, so other machines get access only if the operator says so. */
function refuseUnintendedExposure({ host, accessMode }: Configuration): void {
  if (accessMode !== 'open' && !isLoopback(host)) {
    throw new StartupError(
      "HOST isn't a loopback address and there is no access control: set ACCESS_MODE=open to let every " +
        'client that can reach the address pull, push and delete, or leave HOST at 127.0.0.1.',
    );
  }
}

/** The database client would quote the whole malformed URL in its error, password included. */
function refuseUnreadableUrl(databaseUrl: string): void {
  try {
    const { username, password, pathname } = new URL(databaseUrl);
    [username, password, pathname].forEach(decodeURIComponent);
    // An unencoded `/` in the password ends the host early: the rest would become the database name.
    if (/[@/]/.test(pathname.slice(1))) throw new Error('ambiguous');
  } catch {
    throw new StartupError(
      "DATABASE_URL can't be parsed: expected postgres://user:password@host:port/database, with special " +
        'characters percent-encoded.',
    );
  }
}

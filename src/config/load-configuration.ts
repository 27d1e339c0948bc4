import 'reflect-metadata';
import { resolve } from 'node:path';
import { plainToInstance } from 'class-transformer';
import { validateSync, type ValidationError } from 'class-validator';
import { AzureSettings } from './azure.settings.js';
import { Configuration } from './configuration.js';
import { GcsSettings } from './gcs.settings.js';
import { isLoopback } from '../common/loopback.js';
import { S3Settings } from './s3.settings.js';
import { StartupError } from '../common/startup.error.js';

/** `dataDir` → `DATA_DIR`: every field is the camel case of its variable (a test holds this). */
export function variableName(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

/**
 * Makes the configuration of a process from its environment.
 *
 * @throws StartupError one sentence that names each wrong variable and what was expected, never its value.
 */
export function loadConfiguration(environment: NodeJS.ProcessEnv): Readonly<Configuration> {
  // An empty variable (`PORT=`) counts as unset.
  const set = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
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

/** The settings of an object store are looked at only where it is the one that is used. */
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
      refuseAccountlessAzure(azure);
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
    throw new StartupError(`The configuration can't be used: ${problems.map(describe).join('; ')}.`);
  }
  return instance;
}

function refusePartialPair(one: string, other: string, set: Record<string, string | undefined>): void {
  if ((set[one] === undefined) !== (set[other] === undefined)) {
    throw new StartupError(`The configuration can't be used: expected both ${one} and ${other}, or neither.`);
  }
}

/** A bucket that encrypts by other means would not use it, and nobody would notice. */
function refuseUnusedKmsKey({
  storageS3SseKmsKeyId: key,
  storageS3ServerSideEncryption: by,
}: S3Settings): void {
  if (key !== undefined && by?.startsWith('aws:kms') !== true) {
    throw new StartupError(
      "The configuration can't be used: STORAGE_S3_SSE_KMS_KEY_ID needs STORAGE_S3_SERVER_SIDE_ENCRYPTION to be aws:kms or aws:kms:dsse.",
    );
  }
}

function refuseAccountlessAzure(azure: AzureSettings): void {
  const isNamed = azure.storageAzureAccountName !== undefined;
  if (isNamed === (azure.storageAzureConnectionString !== undefined)) {
    throw new StartupError(
      "The configuration can't be used: expected STORAGE_AZURE_CONNECTION_STRING or STORAGE_AZURE_ACCOUNT_NAME, and not both.",
    );
  }
  if (!isNamed && azure.storageAzureAccountKey !== undefined) {
    throw new StartupError(
      "The configuration can't be used: STORAGE_AZURE_ACCOUNT_KEY needs STORAGE_AZURE_ACCOUNT_NAME.",
    );
  }
}

function describe(problem: ValidationError): string {
  return `${variableName(problem.property)} – ${Object.values(problem.constraints ?? {}).join(', ')}`;
}

/** Without access control, the world may only be let in by an operator who says so. */
function refuseUnintendedExposure({ host, accessMode }: Configuration): void {
  if (accessMode !== 'open' && !isLoopback(host)) {
    throw new StartupError(
      "HOST isn't a loopback address and there is no access control: set ACCESS_MODE=open to let everybody " +
        'who can reach the address pull, push and delete, or leave HOST at 127.0.0.1.',
    );
  }
}

/** Read by others, a malformed address ends in an error that quotes all of it, password included. */
function refuseUnreadableUrl(databaseUrl: string): void {
  try {
    const { username, password, pathname } = new URL(databaseUrl);
    [username, password, pathname].forEach(decodeURIComponent);
    // A `/` in the password, not percent-encoded, ends the host early: the rest of it would be taken for a name.
    if (/[@/]/.test(pathname.slice(1))) throw new Error('ambiguous');
  } catch {
    throw new StartupError(
      "DATABASE_URL can't be read: expected postgres://user:password@host:port/database, special characters percent-encoded.",
    );
  }
}

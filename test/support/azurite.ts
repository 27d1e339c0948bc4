import 'reflect-metadata';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BlobServiceClient, type ContainerClient } from '@azure/storage-blob';
import { AzureSettings } from '../../src/config/azure.settings.js';
import { tryFileLock } from '../../src/common/file-lock.js';

/** A container of the run's Azurite, Microsoft's emulator of the blob service. */
export interface AzuriteContainer {
  readonly container: string;
  readonly account: string;
  readonly key: string;
  /** URL of the blob service, with the account as its path. */
  readonly endpoint: string;
  /** A direct client, which bypasses the proxies of a test. */
  readonly client: ContainerClient;
  /** For the same account, optionally through a proxy at `port`. */
  connectionString(port?: number): string;
  drop(): Promise<void>;
}

const ACCOUNT = 'berthtests';
const KEY = Buffer.alloc(64, 'berth').toString('base64');
/** `npm run test:drivers` installs it. */
const BINARY = join(import.meta.dirname, 'azurite/node_modules/azurite/dist/src/blob/main.js');
const START_TIMEOUT_MS = 60_000;

/**
 * Runs Azurite while the run's directory (`$1`) exists. `postgres-setup.ts` removes it when the run ends,
 * even after a crash.
 */
const WATCHED = `
"$2" "$3" --blobHost 127.0.0.1 --blobPort "$4" \
  --inMemoryPersistence --skipApiVersionCheck --disableTelemetry --silent &
pid=$!
while [ -d "$1" ] && kill -0 $pid 2> /dev/null; do sleep 0.2; done
kill -KILL $pid 2> /dev/null
wait $pid 2> /dev/null
`;

/** Creates an empty container. The first caller of the run starts Azurite (about a second). */
export async function createAzuriteContainer(): Promise<AzuriteContainer> {
  const ownPort = await sharedServer();
  const container = `berth-${randomBytes(6).toString('hex')}`;
  const connectionString = (port = ownPort): string =>
    `DefaultEndpointsProtocol=http;AccountName=${ACCOUNT};AccountKey=${KEY};` +
    `BlobEndpoint=http://127.0.0.1:${port}/${ACCOUNT};`;
  const client = BlobServiceClient.fromConnectionString(connectionString()).getContainerClient(container);
  await client.create();
  return {
    container,
    account: ACCOUNT,
    key: KEY,
    endpoint: `http://127.0.0.1:${ownPort}/${ACCOUNT}`,
    client,
    connectionString,
    drop: async () => {
      await client.deleteIfExists();
    },
  };
}

/** Settings as loaded from the environment. */
export function azuriteSettings(
  azurite: AzuriteContainer,
  overrides: Partial<AzureSettings> = {},
): AzureSettings {
  return Object.assign(new AzureSettings(), {
    storageAzureContainer: azurite.container,
    storageAzureConnectionString: azurite.connectionString(),
    ...overrides,
  });
}

/** Returns the port of the server. One worker of the run starts it while the others wait. */
async function sharedServer(): Promise<number> {
  const directory = process.env['BERTH_TEST_RUN_DIR'];
  if (!directory) throw new Error('Azurite needs the globalSetup of jest.config.mjs');
  const portFile = join(directory, 'azurite.port');
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    if (existsSync(portFile)) {
      const port = Number(readFileSync(portFile, 'utf8'));
      if (await responds(port)) return port;
    }
    if (Date.now() > deadline) throw new Error('Azurite was not started in time');
    const lock = await tryFileLock(join(directory, 'azurite.lock'));
    if (lock) {
      try {
        if (!existsSync(portFile)) await start(directory, portFile, deadline);
      } finally {
        lock.release();
      }
    }
    await sleep(20);
  }
}

async function start(directory: string, portFile: string, deadline: number): Promise<void> {
  if (!existsSync(BINARY)) throw new Error('Azurite is not installed: run `npm run pretest:drivers`');
  const port = await freePort();
  const watched = ['-c', WATCHED, 'berth-test-azurite', directory, process.execPath, BINARY, String(port)];
  // In a new session, so that it outlives the worker that starts it.
  const child = spawn('/bin/sh', watched, {
    detached: true,
    cwd: tmpdir(),
    stdio: 'ignore',
    env: { ...process.env, AZURITE_ACCOUNTS: `${ACCOUNT}:${KEY}` },
  });
  child.unref();
  while (!(await responds(port))) {
    if (child.exitCode !== null) throw new Error(`Azurite ended with ${child.exitCode}`);
    if (Date.now() > deadline) throw new Error('Azurite does not respond');
    await sleep(50);
  }
  writeFileSync(`${portFile}.new`, String(port));
  renameSync(`${portFile}.new`, portFile);
}

async function responds(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/`).then(
    async (response) => {
      await response.body?.cancel();
      return true;
    },
    () => false,
  );
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

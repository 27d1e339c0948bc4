import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { loadConfiguration } from '../../src/config/load-configuration.js';
import { describeWithClients } from '../support/registry-tool.js';

const DEPLOY = join(import.meta.dirname, '../../deploy');

async function run(program: string, args: string[], cwd = DEPLOY): Promise<string> {
  return (await promisify(execFile)(program, args, { cwd })).stdout;
}

interface Compose {
  readonly services: Record<
    string,
    { readonly environment: Record<string, string>; readonly ports?: unknown[] }
  >;
}

describeWithClients('the compose files', ['docker-compose'], () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'berth-compose-'));
    await cp(DEPLOY, directory, { recursive: true });
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  const config = async (...files: string[]) => {
    const flags = files.flatMap((file) => ['--file', file]);
    const { services } = JSON.parse(
      await run('docker-compose', [...flags, 'config', '--format', 'json'], directory),
    ) as Compose;
    return services;
  };

  it('ask for what they need', async () => {
    await writeFile(join(directory, '.env'), 'PUBLIC_URL=https://registry.example.org\n');
    await expect(config('compose.yaml')).rejects.toThrow('POSTGRES_PASSWORD');
  });

  it('start what Berth accepts', async () => {
    await writeFile(
      join(directory, '.env'),
      'PUBLIC_URL=https://registry.example.org\nPOSTGRES_PASSWORD=secret\nTLS_NAMES=a.example.org\n',
    );
    const { berth } = await config('compose.yaml');
    const image = { HOST: '0.0.0.0', DATA_DIR: '/data' };
    expect(loadConfiguration({ ...image, ...berth?.environment })).toMatchObject({
      ...{ databaseUrl: 'postgres://berth:secret@postgres/berth', processes: 2, tlsMode: 'auto' },
    });

    const { berth: replica, front } = await config('compose.yaml', 'compose.front.yaml');
    const configuration = loadConfiguration({ ...image, ...replica?.environment });
    expect(configuration).toMatchObject({
      access: 'token',
      tlsMode: 'off',
      trustedProxies: ['172.31.250.0/24'],
    });
    expect(loadConfiguration({ ...image, ...front?.environment })).toMatchObject({
      role: 'front',
      tlsMode: 'files',
    });
    expect(replica?.ports ?? []).toEqual([]);
  });
});

import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { loadConfiguration } from '../../src/config/load-configuration.js';
import { describeWithClients } from '../support/registry-tool.js';

const DEPLOY = join(import.meta.dirname, '../../deploy');

async function run(program: string, args: string[], cwd = DEPLOY): Promise<string> {
  return (await promisify(execFile)(program, args, { cwd })).stdout;
}

interface Variable {
  readonly name: string;
  readonly value?: string;
}

interface Deployment {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: { readonly template: { readonly spec: { readonly containers: [{ env: Variable[] }] } } };
}

const REQUIRED = {
  'image.repository': 'registry.example.org/berth',
  publicUrl: 'https://registry.example.org',
  'admin.existingSecret': 'berth-admin',
  'database.existingSecret': 'berth-database',
  'storage.existingSecret': 'berth-s3',
  'settings.STORAGE_S3_BUCKET': 'blobs',
  'settings.GC_UNTAGGED_SECONDS': '31536000',
};
/** What the secrets have. */
const SECRETS: Readonly<Record<string, string>> = {
  DATABASE_URL: 'postgres://berth:secret@db/berth',
  ADMIN_PASSWORD: 'correct horse battery',
};
const FRONTS = { 'front.enabled': 'true', 'tls.mode': 'secret', 'tls.existingSecret': 'berth-tls' };

const asFlags = (values: Record<string, string>) =>
  Object.entries(values).flatMap(([name, value]) => ['--set', `${name}=${value}`]);

describeWithClients('the Helm chart', ['helm'], () => {
  /** Renders it, and returns the configuration that Berth makes of the variables of each deployment. */
  async function configurations(values: Record<string, string>) {
    const rendered = await run('helm', ['template', 'berth', 'helm/berth', ...asFlags(values)]);
    const all = parseAllDocuments(rendered).map((document) => document.toJS() as Deployment | null);
    const deployments = all.filter((each) => each !== null).filter(({ kind }) => kind === 'Deployment');
    return Object.fromEntries(
      deployments.map(({ metadata, spec }) => {
        const { env } = spec.template.spec.containers[0];
        const variables = env.map(({ name, value }): [string, string | undefined] => [
          name,
          value ?? SECRETS[name],
        ]);
        return [metadata.name, loadConfiguration(Object.fromEntries(variables))];
      }),
    );
  }

  it.each([
    ['its defaults', {}],
    ['fronts', FRONTS],
    [
      'an ingress, and no metrics',
      { 'tls.mode': 'off', 'ingress.enabled': 'true', 'metrics.enabled': 'false' },
    ],
    ['a pod monitor', { 'metrics.podMonitor.enabled': 'true' }],
  ])('passes lint with %s', async (_, values) => {
    const flags = asFlags({ ...REQUIRED, ...values });
    expect(await run('helm', ['lint', '--strict', 'helm/berth', ...flags])).toMatch(/ 0 chart\(s\) failed/);
  });

  it('starts replicas with TLS and access control', async () => {
    const names = ['berth', 'berth.default.svc', 'a.example.org'];
    expect(await configurations({ ...REQUIRED, 'tls.names': '{a.example.org}' })).toEqual({
      berth: expect.objectContaining({
        ...{ role: 'replica', access: 'token', tlsMode: 'auto', tlsNames: names },
        ...{ storageDriver: 's3', gcUntaggedSeconds: 31_536_000, publicUrl: REQUIRED.publicUrl },
      }),
    });
  });

  it('starts fronts with the certificate, and replicas behind them', async () => {
    expect(await configurations({ ...REQUIRED, ...FRONTS, trustedProxies: '{10.0.0.0/8}' })).toEqual({
      'berth-front': expect.objectContaining({
        ...{ role: 'front', tlsMode: 'files', frontReplicas: ['http://berth-replicas:5000'] },
      }),
      berth: expect.objectContaining({
        role: 'replica',
        access: 'token',
        tlsMode: 'off',
        tlsCertFile: undefined,
      }),
    });
  });

  it.each([
    ['no URL', { publicUrl: '' }, 'publicUrl'],
    ['no database', { 'database.existingSecret': '' }, 'database.existingSecret'],
    ['fronts without a certificate', { 'front.enabled': 'true' }, 'tls.mode'],
    ['TLS without a secret', { 'tls.mode': 'secret' }, 'tls.existingSecret'],
    ['files without a claim', { 'storage.driver': 'filesystem' }, 'storage.existingClaim'],
    ['an unknown driver', { 'storage.driver': 'ftp' }, 'storage/driver'],
  ])('refuses %s', async (_, values, named) => {
    await expect(configurations({ ...REQUIRED, ...values })).rejects.toThrow(named);
  });
});

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

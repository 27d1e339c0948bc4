import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse as parseDotEnv } from 'dotenv';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { SETTINGS } from './env.js';
import { loadConfiguration } from './load-configuration.js';

const DEPLOY = join(import.meta.dirname, '../../deploy');
const read = (path: string) => readFileSync(join(DEPLOY, path), 'utf8');
const settings = new Set(SETTINGS.map(({ name }) => name));
const unknown = (names: readonly string[]) => names.filter((name) => !settings.has(name));

/** The variables of a file of which each line counts, also if it begins with `#`. */
const uncommented = (path: string) => parseDotEnv(read(path).replaceAll(/^#(?=[A-Z0-9_]+=)/gm, ''));

interface Compose {
  readonly services: Record<string, { readonly environment?: Record<string, unknown> }>;
}

// A mistyped name would have no effect, or stop a start.
describe('the packages in deploy/ set only what Berth has:', () => {
  it('berth.env of systemd', () => {
    const variables = uncommented('systemd/berth.env');
    expect(unknown(Object.keys(variables))).toEqual([]);
    expect(loadConfiguration(variables)).toMatchObject({ access: 'token', tlsMode: 'files', processes: 2 });
  });

  it('.env.example of compose, besides what compose.yaml itself uses', () => {
    const variables = uncommented('.env.example');
    const used = [
      ...read('compose.yaml').matchAll(/\$\{(\w+)/g),
      ...read('compose.front.yaml').matchAll(/\$\{(\w+)/g),
    ];
    const ofCompose = used.map(([, name = '']) => name);
    expect(unknown(Object.keys(variables)).filter((name) => !ofCompose.includes(name))).toEqual([]);
    expect(ofCompose.filter((name) => !Object.hasOwn(variables, name))).toEqual([]);
  });

  it.each(['compose.yaml', 'compose.front.yaml'])('%s', (path) => {
    const { services } = parse(read(path), { merge: true, logLevel: 'error' }) as Compose;
    const { postgres: _, ...own } = services;
    const names = Object.values(own).flatMap(({ environment = {} }) => Object.keys(environment));
    expect(names.length).toBeGreaterThan(2);
    expect(unknown(names)).toEqual([]);
  });

  it('the Containerfile', () => {
    const [, variables = ''] = /^ENV (.+)$/m.exec(read('Containerfile')) ?? [];
    const pairs = parseDotEnv(variables.replaceAll(' ', '\n'));
    expect(unknown(Object.keys(pairs))).toEqual([]);
    expect(loadConfiguration(pairs)).toMatchObject({ dataDir: '/data', access: 'token', tlsMode: 'auto' });
  });

  it('the chart', () => {
    const templates = readdirSync(join(DEPLOY, 'helm/berth/templates')).map((name) =>
      read(`helm/berth/templates/${name}`),
    );
    const names = templates.flatMap((text) =>
      [...text.matchAll(/"([A-Z]+(?:_[A-Z0-9]+)*)"/g)].map(([, name = '']) => name),
    );
    expect(new Set(names).size).toBeGreaterThan(10);
    expect(unknown(names).filter((name) => !/^HTTPS?$/.test(name))).toEqual([]);
  });
});

it('the chart has the version of Berth', () => {
  const { version } = JSON.parse(read('../package.json')) as { version: string };
  expect(parse(read('helm/berth/Chart.yaml'))).toMatchObject({ appVersion: version });
});

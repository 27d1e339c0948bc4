import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { validateSync } from 'class-validator';
import { parse } from 'dotenv';
import { describe, expect, it } from '@jest/globals';
import { Configuration } from './configuration.js';
import { type Setting, SETTINGS } from './env.js';
import { loadConfiguration } from './load-configuration.js';

const read = (path: string) => readFileSync(join(import.meta.dirname, '../..', path), 'utf8');
const names = SETTINGS.map(({ name }) => name);
const ofObjectStores = SETTINGS.filter(({ settings }) => settings !== Configuration).map(({ name }) => name);
const others = names.filter((name) => !ofObjectStores.includes(name));

/** The names in the first column of a page's tables. */
const namesInTables = (page: string): string[] =>
  [...read(page).matchAll(/^\| (`[A-Z][^|]+) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([A-Z0-9_]+)`/g)].map(([, name = '']) => name),
  );

describe('.env.example', () => {
  const file = read('.env.example');
  const lines = [...file.matchAll(/^#([A-Z0-9_]+)=(.*)$/gm)].map(([, name = '', value = '']) => [
    name,
    value,
  ]);

  it('has every setting with its default', () => {
    const defaults = SETTINGS.map(({ name, field, settings }) => {
      const value = Reflect.get(new settings(), field) as string | number | boolean | undefined;
      return [name, String(value ?? '')];
    });
    expect(Object.fromEntries(lines)).toEqual(Object.fromEntries(defaults));
    expect(lines).toHaveLength(names.length);
  });

  it('sets nothing as it is, and the defaults if all of it is uncommented', () => {
    expect(parse(file)).toEqual({});
    const all = parse(file.replaceAll(/^#(?=[A-Z0-9_]+=)/gm, ''));
    expect(loadConfiguration(all)).toEqual(loadConfiguration({}));
  });
});

describe('the documentation has every setting, and no other:', () => {
  it('README.md those without object stores', () => {
    expect(namesInTables('README.md').sort()).toEqual(others.toSorted());
  });

  it('docs/object-stores.md those of object stores', () => {
    expect(namesInTables('docs/object-stores.md').sort()).toEqual(ofObjectStores.toSorted());
  });

  it.each(others)('docs/configuration.md has %s', (name) => {
    expect(read('docs/configuration.md')).toMatch(new RegExp(`\`${name}[\`=]`));
  });

  it('docs/configuration.md the range of each number', () => {
    const documented = [
      ...read('docs/configuration.md').matchAll(/^\| `(\S+)` \| ([^|]+) \| ([^|]+) \|$/gm),
    ].map(([, name = '', min = '', max = '']) => [name, `${bytes(min)} to ${bytes(max)}`]);
    const ranges = SETTINGS.flatMap((setting) => {
      const range = /from (\d+ to \d+)/.exec(expectationOf(setting))?.[1];
      return range === undefined
        ? []
        : [[setting.name.replace(/.+_PART_SIZE/, 'STORAGE_…_PART_SIZE'), range]];
    });
    expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(ranges));
  });
});

/** What the validation says about a field with a number that is too small. */
function expectationOf({ settings, field }: Setting): string {
  const problems = validateSync(Object.assign(new settings(), { [field]: -1 }));
  return JSON.stringify(problems.find(({ property }) => property === field)?.constraints ?? '');
}

/** `1 MiB` as a number of bytes, `31,536,000` as digits. */
function bytes(text: string): string {
  const [number = '', unit = ''] = text.replaceAll(',', '').split(' ');
  const factor = { MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 }[unit] ?? 1;
  return String(Number(number) * factor);
}

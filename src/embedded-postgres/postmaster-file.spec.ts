import { describe, expect, it } from '@jest/globals';
import { isPostgresOf } from './postmaster-file.js';

const dir = '/srv/my data/postgres';

describe('isPostgresOf', () => {
  it.each([
    ['ours', ['/opt/bin/postgres', '-D', '/proc/self/cwd', '-c', `berth.cluster_dir=${dir}`], true],
    ["a person's", ['postgres', '-D', dir], true],
    ['of another directory', ['postgres', '-D', '/srv/other', '-c', 'berth.cluster_dir=/srv/other'], false],
    ['of a directory that begins alike', ['postgres', '-D', `${dir}2`], false],
    ['not Postgres at all', ['tail', '-f', dir], false],
    ['gone', [''], false],
  ])('%s', (_name, args, expected) => {
    expect(isPostgresOf([...args, ''].join('\0'), dir)).toBe(expected);
  });
});

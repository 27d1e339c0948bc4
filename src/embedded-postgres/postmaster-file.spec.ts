import { describe, expect, it } from '@jest/globals';
import { isPostgresOf } from './postmaster-file.js';

const dir = '/srv/my data/postgres';

describe('isPostgresOf', () => {
  it.each([
    ['ours', ['/opt/bin/postgres', '-D', '/proc/self/cwd', '-c', `berth.cluster_dir=${dir}`], true],
    ["a person's", ['postgres', '-D', dir], true],
    ['of another directory', ['postgres', '-D', '/srv/other', '-c', 'berth.cluster_dir=/srv/other'], false],
    ['of a directory with the same prefix', ['postgres', '-D', `${dir}2`], false],
    ['another program', ['tail', '-f', dir], false],
    ['no process', [''], false],
  ])('%s', (_name, args, expected) => {
    expect(isPostgresOf([...args, ''].join('\0'), dir)).toBe(expected);
  });
});

import { chmodSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { addDotEnv } from './dot-env.js';

const NOBODY = 65534;

describe('addDotEnv', () => {
  const before = process.cwd();
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'berth-env-'));
    process.chdir(directory);
  });
  afterEach(() => {
    process.chdir(before);
    rmdirSync(directory);
  });

  it('adds what is not set, and returns its names', () => {
    writeFileSync('.env', 'PORT=1\nLOG_LEVEL=debug\n');
    const environment = { PORT: '2' };
    expect(addDotEnv(environment)).toEqual(new Set(['LOG_LEVEL']));
    expect(environment).toEqual({ PORT: '2', LOG_LEVEL: 'debug' });
    rmSync('.env');
  });

  it.each([
    ['comments and blank lines', '# a comment\n\n  # LOG_LEVEL debug\nPORT=1 # why\n', { PORT: '1' }],
    [
      'export, colons, spaces and empty values',
      'export A=1\n B = 2 \nC: 3\nD=\n',
      { A: '1', B: '2', C: '3', D: '' },
    ],
    [
      'several lines in quotes',
      'A="one\ntwo words\n# three"\r\nB=\'4\n5\'\n',
      { A: 'one\ntwo words\n# three', B: '4\n5' },
    ],
    ['a setting twice', 'A=1\nA=1\nA=2\n', { A: '2' }],
    ['a byte order mark', '\ufeffA=1\n', { A: '1' }],
  ])('reads %s', (_, text, expected) => {
    writeFileSync('.env', text);
    const environment = {};
    addDotEnv(environment);
    rmSync('.env');
    expect(environment).toEqual(expected);
  });

  it.each([
    ['1', 'LOG_LEVEL sesame'],
    ['3', 'PORT=1\r\n\r\nthis is no setting sesame\r\n'],
    ['1, 4', 'sesame\nA="1\n2"\nsesame\n'],
    ['2', 'A="sesame\nits quote is missing'],
    ['1', 'export sesame'],
    ['1', '=sesame'],
  ])('refuses line %s of %j by number, without its text', (lines, text) => {
    writeFileSync('.env', text);
    const environment = {};
    const attempt = () => addDotEnv(environment);
    expect(attempt).toThrow(
      `The file .env has a line that is not a setting: line ${lines}. Expected NAME=value`,
    );
    expect(attempt).not.toThrow('sesame');
    expect(environment).toEqual({});
    rmSync('.env');
  });

  it('adds nothing without the file', () => {
    expect(addDotEnv({})).toEqual(new Set());
  });

  it('adds nothing in a working directory that only another user may search', () => {
    chmodSync(directory, 0o000);
    const isRoot = process.getuid?.() === 0;
    if (isRoot) process.seteuid?.(NOBODY);
    try {
      expect(addDotEnv({})).toEqual(new Set());
    } finally {
      if (isRoot) process.seteuid?.(0);
      chmodSync(directory, 0o700);
    }
  });
});

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

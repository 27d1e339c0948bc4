import { execFile } from 'node:child_process';
import { mkdir, readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { builtMain } from '../support/built-berth.js';
import { SECRET } from '../support/refused-start.js';
import { useProcessBench } from '../support/set-up.js';

const bench = useProcessBench();
let main: string;
beforeAll(async () => void (main = await builtMain()));

interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program of Node in the scratch directory. */
function run(args: readonly string[], environment: Record<string, string> = {}): Promise<Result> {
  const options = { cwd: bench.scratch, env: { PATH: process.env['PATH'] ?? '', ...environment } };
  return new Promise((resolve) => {
    execFile(process.execPath, args, options, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

describe('the program with', () => {
  it('--check prints the settings without secrets, and starts nothing', async () => {
    await bench.write('.env', `LOG_LEVEL=debug\nDATABASE_URL=postgres://u:${SECRET}@db.example/berth\n`);
    const environment = { PORT: '5050', STORAGE_ROOT: '/x', DATA_DIR: './checked' };
    const { code, stdout, stderr } = await run([main, '--check'], environment);
    await bench.remove('.env');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^PORT +5050 +environment$/m);
    expect(stdout).toMatch(/^LOG_LEVEL +debug +\.env$/m);
    expect(stdout).toMatch(/^WORKERS +1 +default$/m);
    expect(stdout).toMatch(/^DATABASE_URL +postgres:\/\/u:\*\*\*@db\.example\/berth +\.env$/m);
    expect(stdout).toMatch(/\nThe configuration is valid\.\n$/);
    expect(stderr).toBe(
      'Warning: Variables that are no settings of Berth and have no effect: STORAGE_ROOT.\n',
    );
    expect(stdout).not.toContain(SECRET);
    expect(await readdir(bench.scratch)).toEqual([]);
  });

  it('--check refuses what a start refuses', async () => {
    const { code, stdout, stderr } = await run([main, '--check'], { LOG_LEVL: SECRET });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('no setting LOG_LEVL (expected LOG_LEVEL)');
    expect(stderr).not.toContain(SECRET);
  });

  it('--help and --version prints them', async () => {
    expect(await run([main, '--help'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('--check'),
    });
    expect(await run([main, '--version'])).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\S*\n$/),
      stderr: '',
    });
  });

  it('another argument does not start', async () => {
    expect(await run([main, '--chekc'])).toEqual({
      code: 1,
      stdout: '',
      stderr:
        "Berth doesn't take the option --chekc: settings are environment variables, and --help lists the options.\n",
    });
  });
});

it('a .env that is no file stops the start', async () => {
  await mkdir(join(bench.scratch, '.env'));
  const { code, stderr } = await run([main, '--check']);
  await rmdir(join(bench.scratch, '.env'));
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: "The file .env can't be read (EISDIR): make it a readable file.\n",
  });
});

it('a line of .env that is not a setting is invalid for --check', async () => {
  await bench.write('.env', 'LOG_LEVEL debug\n');
  const { code, stderr } = await run([main, '--check']).finally(() => bench.remove('.env'));
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr:
      'The file .env has a line that is not a setting: line 1. Expected NAME=value, or a comment that begins with #.\n',
  });
});

it('a command for migrations ends with one sentence if it has no server', async () => {
  const migrate = (command: string, environment: Record<string, string>) => {
    const typeorm = join(main, '../../../node_modules/typeorm/cli.js');
    return run([typeorm, `migration:${command}`, '-d', join(main, '../../ormconfig.js')], environment);
  };
  const dataDir = bench.newDataDir();
  const [embedded, external, invalid] = await Promise.all([
    migrate('show', { DATA_DIR: dataDir }),
    migrate('run', { DATABASE_URL: `postgres://u:${SECRET}@127.0.0.1:1/db` }),
    migrate('revert', { DATABASE_URI: SECRET }),
  ]);
  expect([embedded.code, external.code, invalid.code]).toEqual([1, 1, 1]);
  expect(embedded.stderr).toBe(
    `The embedded PostgreSQL in ${dataDir}/postgres can't be reached (connect ENOENT ${dataDir}/postgres/` +
      '.s.PGSQL.5432): start Berth, which runs it, or set DATABASE_URL.\n',
  );
  expect(external.stderr).toBe("Can't use the database of DATABASE_URL: connect ECONNREFUSED 127.0.0.1:1.\n");
  expect(invalid.stderr).toMatch(/^The configuration is invalid: [^\n]+ DATABASE_URI [^\n]+\.\n$/);
});

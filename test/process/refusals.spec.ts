import { readdir } from 'node:fs/promises';
import { describe, expect, it } from '@jest/globals';
import { portInUse, refusal, SECRET } from '../support/refused-start.js';
import { useOtherServers, useProcessBench, useTestDatabase } from '../support/set-up.js';

// test/long/refusals.spec.ts has more of them. Units decide the sentences.
const bench = useProcessBench();
const database = useTestDatabase();
const servers = useOtherServers();

describe('a start that fails ends with one sentence, exit code 1 and no process left:', () => {
  it.each([
    ['DATABASE_URL', `mysql://u:${SECRET}@127.0.0.1/db`, 'DATABASE_URL – expected postgres://'],
    [
      'HOST',
      'no-such-host.invalid',
      'HOST (no-such-host.invalid) is neither an IP address nor a host name that',
    ],
  ])('%s=%s', async (name, value, sentence) => {
    expect(await refusal(bench, { [name]: value })).toContain(sentence);
  });

  it('too few open files to load the program', async () => {
    expect(await refusal(bench, {}, 128)).toBe(
      'The limit of open files (ulimit -n) is 128: raise it to 1024 or more.',
    );
  });

  it('a mistyped name in .env', async () => {
    await bench.write('.env', `DATABASE_URI=postgres://u:${SECRET}@127.0.0.1/db\n`);
    expect(await refusal(bench, {}).finally(() => bench.remove('.env'))).toContain(
      'no setting DATABASE_URI (expected DATABASE_URL)',
    );
  });

  it('a port in use, before a database is created', async () => {
    const { port } = await servers.listen();
    const dataDir = bench.newDataDir();
    expect(await refusal(bench, { PORT: String(port), DATA_DIR: dataDir })).toBe(portInUse(port));
    expect(await readdir(dataDir)).toEqual(expect.not.arrayContaining(['postgres']));
  });
});

describe('an unusable database ends the start with one sentence, without the password:', () => {
  const withSecret = (path: string) =>
    database.url.replace(/^postgres:\/\/([^@]+)@/, `postgres://$1:${SECRET}@`) + path;

  it('no such database', async () => {
    expect(await refusal(bench, { DATABASE_URL: withSecret('_not') })).toMatch(
      /^Can't use the database of DATABASE_URL: database "berth_test_\w+_not" does not exist\.$/,
    );
  });
});

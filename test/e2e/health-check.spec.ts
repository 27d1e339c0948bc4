import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { builtMain } from '../support/built-berth.js';
import { sharedBerth } from '../support/running-berth.js';

/** Runs the program with these settings. Rejects if it ends with another exit code than 0. */
async function check(settings: Record<string, string>): Promise<string> {
  const program = join(dirname(await builtMain()), 'health-check.js');
  const options = { cwd: tmpdir(), env: { PATH: process.env['PATH'], ...settings } };
  return (await promisify(execFile)(process.execPath, [program], options)).stdout;
}

// .ci/container has it with TLS, in the image.
describe('the health check', () => {
  it('succeeds while Berth is alive', async () => {
    const { port } = new URL((await sharedBerth()).url);
    expect(await check({ PORT: port })).toBe('');
    expect(await check({ PORT: port, HOST: '0.0.0.0', TLS: 'off' })).toBe('');
  });

  it.each([
    ['nothing listens', { PORT: '1' }, 'connect ECONNREFUSED'],
    ['a setting is wrong', { PORT: 'x' }, 'PORT'],
  ])('fails if %s, and says why', async (_, settings, reason) => {
    const stderr = expect.stringMatching(new RegExp(`^Berth is not alive: .*${reason}`, 's'));
    await expect(check(settings)).rejects.toMatchObject({ code: 1, stderr });
  });
});

import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { Logger } from '@nestjs/common';
import { afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { createAuthority, issueCertificate } from './certificate-authority.js';
import { checkCertificateFiles } from './certificate-files.js';
import { FileCertificate } from './file-certificate.js';
import type { KeyPair } from './key-pair.js';

describe('the certificate of TLS=files', () => {
  let directory: string;
  let [first, second, expired]: KeyPair[] = [];
  let files: { tlsCertFile: string; tlsKeyFile: string };
  const logged: string[] = [];

  beforeAll(async () => {
    const authority = await createAuthority(new Date());
    const issue = (now: Date) => issueCertificate(authority, ['registry.example.org'], now);
    [first, second, expired] = [await issue(new Date()), await issue(new Date()), await issue(new Date(0))];
  });
  beforeEach(async () => {
    logged.length = 0;
    for (const level of ['log', 'warn'] as const) {
      jest
        .spyOn(Logger.prototype, level)
        .mockImplementation((line: unknown) => void logged.push(String(line)));
    }
    directory = await mkdtemp(join(tmpdir(), 'berth-tls-'));
    files = { tlsCertFile: join(directory, 'tls.crt'), tlsKeyFile: join(directory, 'tls.key') };
    await write(first!);
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await rm(directory, { recursive: true, force: true });
  });

  async function write({ cert, key }: KeyPair): Promise<void> {
    await writeFile(files.tlsCertFile, cert);
    await writeFile(files.tlsKeyFile, key);
  }

  const check = () => checkCertificateFiles({ ...files, tlsMode: 'files' });

  it.each([
    [
      'no certificate',
      () => rm(files.tlsCertFile),
      /^TLS_CERT_FILE \(.+tls\.crt\) can't be read \(ENOENT\): /,
    ],
    ['no key', () => rm(files.tlsKeyFile), /^TLS_KEY_FILE \(.+tls\.key\) can't be read \(ENOENT\): /],
    [
      'a directory',
      () => rm(files.tlsKeyFile).then(() => mkdir(files.tlsKeyFile)),
      /can't be read \(EISDIR\)/,
    ],
    [
      'another text',
      () => writeFile(files.tlsCertFile, 'x'),
      /^TLS_CERT_FILE .+ has no certificate: expected PEM/,
    ],
    [
      'a certificate as key',
      () => writeFile(files.tlsKeyFile, first!.cert),
      /^TLS_KEY_FILE .+ has no private key/,
    ],
    [
      'another key',
      () => writeFile(files.tlsKeyFile, second!.key),
      /^TLS_KEY_FILE .+ is not the key of the first/,
    ],
    [
      'an encrypted key',
      () => {
        const args = [
          'ec',
          '-in',
          files.tlsKeyFile,
          '-aes128',
          '-passout',
          'pass:x',
          '-out',
          files.tlsKeyFile,
        ];
        return Promise.resolve(execFileSync('openssl', args, { stdio: 'ignore' }));
      },
      /^TLS_KEY_FILE .+ without a passphrase\.$/,
    ],
  ])('is refused: %s', async (_, spoil, message) => {
    await spoil();
    await expect(check()).rejects.toThrow(message);
  });

  it('has a warning if it has expired', async () => {
    expect(await check()).toBeUndefined();
    await write(expired!);
    expect(await check()).toMatch(/^TLS_CERT_FILE .+ the certificate has expired on 1970-04-01/);
  });

  it('is replaced when the files are, and stays as it is meanwhile', async () => {
    const source = new FileCertificate(files);
    expect(await source.load()).toEqual(first);
    expect(await source.renew()).toBeUndefined();
    await writeFile(files.tlsCertFile, second!.cert);
    expect(await source.renew()).toBeUndefined();
    expect(await source.renew()).toBeUndefined();
    expect(logged).toEqual([expect.stringContaining('the certificate stays as it is')]);
    await writeFile(files.tlsKeyFile, second!.key);
    expect(await source.renew()).toEqual(second);
    expect(await source.renew()).toBeUndefined();
    await rm(files.tlsCertFile);
    expect(await source.renew()).toBeUndefined();
    expect(logged[2]).toContain('ENOENT');
  });

  it('is replaced when a link to their directory is, as Kubernetes does it', async () => {
    for (const [name, pair] of [
      ['one', first!],
      ['two', second!],
    ] as const) {
      await mkdir(join(directory, name));
      await writeFile(join(directory, name, 'tls.crt'), pair.cert);
      await writeFile(join(directory, name, 'tls.key'), pair.key);
      await symlink(name, join(directory, `to-${name}`));
    }
    await rename(join(directory, 'to-one'), join(directory, 'data'));
    const data = {
      tlsCertFile: join(directory, 'data/tls.crt'),
      tlsKeyFile: join(directory, 'data/tls.key'),
    };
    const source = new FileCertificate(data);
    expect(await source.load()).toEqual(first);
    await rename(join(directory, 'to-two'), join(directory, 'data'));
    expect(await source.renew()).toEqual(second);
  });
});

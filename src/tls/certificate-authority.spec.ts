import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createAuthority, issueCertificate } from './certificate-authority.js';
import { endOf, fingerprintOf, type KeyPair } from './key-pair.js';

const DAY_MS = 24 * 60 * 60 * 1000;
const NAMES = ['nas', 'nas.local', '*.example.org', '192.168.1.10', '::1', 'fd00::10'];

describe('a certificate of the own authority', () => {
  const now = new Date();
  let directory: string;
  let authority: KeyPair;
  let leaf: KeyPair;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'berth-tls-'));
    authority = await createAuthority(now);
    leaf = await issueCertificate(authority, NAMES, now);
    await writeFile(join(directory, 'ca.pem'), authority.cert);
    await writeFile(join(directory, 'other.pem'), (await createAuthority(now)).cert);
    await writeFile(join(directory, 'leaf.pem'), leaf.cert);
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  /** What OpenSSL's own program says, an independent witness. */
  async function openssl(...args: string[]): Promise<string> {
    const run = promisify(execFile)('openssl', args, { cwd: directory });
    const { stdout, stderr } = await run.catch(
      (error: unknown) => error as { stdout: string; stderr: string },
    );
    return stdout + stderr;
  }

  const verify = (...args: string[]) =>
    openssl('verify', '-x509_strict', '-purpose', 'sslserver', ...args, 'leaf.pem');

  it.each([
    ['-verify_hostname', 'nas'],
    ['-verify_hostname', 'nas.local'],
    ['-verify_hostname', 'registry.example.org'],
    ['-verify_ip', '192.168.1.10'],
    ['-verify_ip', '::1'],
    ['-verify_ip', 'fd00:0:0::10'],
  ])('is accepted by strict clients: %s %s', async (option, name) => {
    expect(await verify('-CAfile', 'ca.pem', option, name)).toBe('leaf.pem: OK\n');
  });

  it.each([
    ['for another host', ['-CAfile', 'ca.pem', '-verify_hostname', 'other.org'], 'hostname mismatch'],
    ['for another address', ['-CAfile', 'ca.pem', '-verify_ip', '192.168.1.11'], 'IP address mismatch'],
    ['with another authority', ['-CAfile', 'other.pem'], 'unable to get local issuer certificate'],
    [
      'before an hour ago',
      ['-CAfile', 'ca.pem', '-attime', String(Math.floor(now.getTime() / 1000) - 3700)],
      'not yet valid',
    ],
    [
      'after 90 days',
      ['-CAfile', 'ca.pem', '-attime', String(Math.floor((now.getTime() + 91 * DAY_MS) / 1000))],
      'has expired',
    ],
  ])('is refused %s', async (_, args, reason) => {
    expect(await verify(...args)).toContain(reason);
  });

  it('is for servers only, and its authority for no other authority', async () => {
    const [ofLeaf, ofAuthority] = await Promise.all(
      ['leaf.pem', 'ca.pem'].map((name) => openssl('x509', '-in', name, '-noout', '-text')),
    );
    expect(ofLeaf).toMatch(/Basic Constraints: critical\s+CA:FALSE/);
    expect(ofLeaf).toMatch(/Key Usage: critical\s+Digital Signature\n/);
    expect(ofLeaf).toMatch(/Extended Key Usage: \s*TLS Web Server Authentication\n/);
    expect(ofAuthority).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
    expect(ofAuthority).toMatch(/Key Usage: critical\s+Certificate Sign, CRL Sign/);
    const id = /Subject Key Identifier:\s+([\dA-F:]+)/.exec(ofAuthority ?? '')?.[1] ?? 'none';
    expect(ofLeaf).toMatch(new RegExp(`Authority Key Identifier:\\s+(keyid:)?${id}`));
  });

  it('has a key and a serial number of its own each time', async () => {
    const next = new X509Certificate((await issueCertificate(authority, NAMES, now)).cert);
    const first = new X509Certificate(leaf.cert);
    expect(next.serialNumber).not.toBe(first.serialNumber);
    expect(next.publicKey.equals(first.publicKey)).toBe(false);
    expect(first.serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/);
  });

  it('does not outlive its authority', async () => {
    const later = new Date(now.getTime() + 3600 * DAY_MS);
    expect(endOf(await issueCertificate(authority, NAMES, later))).toEqual(endOf(authority));
  });

  it('is shown with the fingerprint that OpenSSL computes', async () => {
    const printed = await openssl('x509', '-in', 'ca.pem', '-noout', '-fingerprint', '-sha256');
    expect(printed.toLowerCase()).toContain(fingerprintOf(authority).toLowerCase());
  });
});

import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { authorityOf, fetchTrusting } from '../support/https-client.js';
import { runDirectory } from '../support/once-per-run.js';
import { digestOf } from '../support/registry-client.js';
import { OwnBerth, startFront } from '../support/running-berth.js';

/** Makes a certificate that signs itself. Returns the settings that use it. */
function certificate(directory: string): Record<string, string> {
  const [TLS_CERT_FILE, TLS_KEY_FILE] = [join(directory, 'tls.crt'), join(directory, 'tls.key')];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', TLS_KEY_FILE];
  const subject = ['-subj', '/CN=front', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'];
  execFileSync('openssl', ['req', '-x509', ...key, ...subject, '-out', TLS_CERT_FILE], { stdio: 'ignore' });
  return { TLS: 'files', TLS_CERT_FILE, TLS_KEY_FILE };
}

describe('a front with TLS to its clients and to its replica', () => {
  let replica: OwnBerth;
  let front: OwnBerth;
  let ca: string;

  beforeAll(async () => {
    const directory = mkdtempSync(join(runDirectory(), 'front-tls-'));
    replica = await OwnBerth.start({ TLS: 'auto' });
    const authority = join(directory, 'ca.crt');
    writeFileSync(authority, await authorityOf(replica.url));
    const files = certificate(directory);
    ca = readFileSync(files['TLS_CERT_FILE'] ?? '', 'utf8');
    front = await startFront([replica.url], { ...files, NODE_EXTRA_CA_CERTS: authority });
  });
  afterAll(async () => {
    await front.dispose();
    await replica.dispose();
  });

  it('passes a blob on, both ways', async () => {
    const send = (path: string, init?: RequestInit) => fetchTrusting(new URL(path, front.url), init, ca);
    const bytes = randomBytes(2 * 1024 * 1024);
    const digest = digestOf(bytes);
    const path = `/v2/tls/front/blobs/uploads/?digest=${digest}`;
    expect((await send(path, { method: 'POST', body: bytes })).status).toBe(201);
    const pulled = await send(`/v2/tls/front/blobs/${digest}`);
    expect(digestOf(Buffer.from(await pulled.arrayBuffer()))).toBe(digest);
  });
});

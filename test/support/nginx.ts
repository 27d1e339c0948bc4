import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createAuthority, issueCertificate } from '../../src/tls/certificate-authority.js';
import { networkAddress } from './interop-bench.js';
import { runDirectory } from './once-per-run.js';
import { freePort, isListening } from './process-bench.js';
import { until } from './until.js';

const DOCS = { one: 'docs/access.md', several: 'docs/operations.md' };
const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];

/** Nginx as the documentation describes it, on a network address of this machine, with TLS. */
export class Nginx {
  private constructor(
    readonly url: URL,
    /** The certificate of the authority that its own one is of. */
    readonly authority: string,
    private readonly child: ChildProcess,
  ) {}

  /** @param upstream the URL of the registry */
  static async start(upstream: string, buffersRequests: boolean): Promise<Nginx> {
    return Nginx.run(await documentedServer(DOCS.one), [
      ['http://127.0.0.1:5000', upstream],
      ['proxy_request_buffering off;', `proxy_request_buffering ${buffersRequests ? 'on' : 'off'};`],
    ]);
  }

  /** Nginx as `docs/operations.md` describes it for three replicas. @param replicas their URLs */
  static async inFrontOf(replicas: readonly string[]): Promise<Nginx> {
    const servers = replicas.map((url, index): [string, string] => [
      `server 10.0.0.${index + 1}:5000 `,
      `server ${new URL(url).host} `,
    ]);
    return Nginx.run(await documentedServer(DOCS.several), servers);
  }

  private static async run(documented: string, replacements: readonly [string, string][]): Promise<Nginx> {
    const directory = await mkdtemp(join(runDirectory(), 'nginx-'));
    const address = networkAddress();
    const url = new URL(`https://${address}:${await freePort(address)}`);
    const authority = await createAuthority(new Date());
    const { cert, key } = await issueCertificate(authority, [address], new Date());
    await writeFile(join(directory, 'registry.crt'), cert);
    await writeFile(join(directory, 'registry.key'), key);
    const server = replaceEach(documented, [
      ['listen 443 ssl;', `listen ${url.host} ssl;`],
      ['/etc/nginx/', `${directory}/`],
      ...replacements,
    ]);
    await writeFile(join(directory, 'nginx.conf'), around(server, directory));
    await mkdir(join(directory, 'tmp'));
    const arguments_ = ['-p', directory, '-c', join(directory, 'nginx.conf'), '-e', 'stderr'];
    const child = spawn('nginx', arguments_, { stdio: ['ignore', 'ignore', 'inherit'] });
    // The run's clean-up ends what has such a file.
    await writeFile(join(runDirectory(), `${child.pid}.pid`), String(child.pid));
    await until('nginx', () => isListening(url.origin));
    return new Nginx(url, authority.cert, child);
  }

  async stop(): Promise<void> {
    this.child.kill('SIGTERM');
    if (this.child.exitCode === null) await once(this.child, 'exit');
  }
}

/** The settings of Berth behind it, from the same page. */
export async function documentedSettings(): Promise<Record<string, string>> {
  const line = /^HOST=.* TRUSTED_PROXIES=.*(?= npm start$)/m.exec(await readFile(DOCS.one, 'utf8'))?.[0];
  if (line === undefined) throw new Error(`${DOCS.one} has no command for a start behind a proxy`);
  return Object.fromEntries(line.split(' ').map((pair): [string, string] => splitAt(pair, '=')));
}

async function documentedServer(page: string): Promise<string> {
  const server = /^```nginx\n(.*?)^```$/ms.exec(await readFile(page, 'utf8'))?.[1];
  if (server === undefined) throw new Error(`${page} has no configuration of nginx`);
  return server;
}

function splitAt(text: string, separator: string): [string, string] {
  const index = text.indexOf(separator);
  return [text.slice(0, index), text.slice(index + separator.length)];
}

/** @throws unless the text has each of them */
function replaceEach(text: string, replacements: readonly [string, string][]): string {
  return replacements.reduce((result, [from, to]) => {
    if (!result.includes(from)) throw new Error(`the configuration of nginx lacks "${from}"`);
    return result.replaceAll(from, to);
  }, text);
}

/** What a package of nginx has around the servers, in one directory. */
function around(server: string, directory: string): string {
  return `
    ${process.getuid?.() === 0 ? 'user root;' : ''}
    daemon off;
    error_log stderr crit;
    pid ${directory}/nginx.pid;
    worker_processes 1;
    events {}
    http {
      access_log off;
      ${TEMPORARY.map((name) => `${name}_temp_path ${directory}/tmp/${name};`).join('\n')}
      ${server}
    }`;
}

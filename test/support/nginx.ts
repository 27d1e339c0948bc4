import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { documentedBlock, DocumentedProxy, newProxySite, replaceEach } from './documented-proxy.js';

const ACCESS = 'docs/access.md';
const OPERATIONS = 'docs/operations.md';
const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];

/** Starts nginx as `docs/access.md` describes it. @param upstream the URL of the registry */
export async function startNginx(upstream: string, buffersRequests: boolean): Promise<DocumentedProxy> {
  return run(await documentedBlock(ACCESS, 'nginx'), [
    ['http://127.0.0.1:5000', upstream],
    ['proxy_request_buffering off;', `proxy_request_buffering ${buffersRequests ? 'on' : 'off'};`],
  ]);
}

/** Starts nginx as `docs/operations.md` describes it for three replicas. @param replicas their URLs */
export async function startNginxBefore(replicas: readonly string[]): Promise<DocumentedProxy> {
  const servers = replicas.map(
    (url, index) => [`server 10.0.0.${index + 1}:5000 `, `server ${new URL(url).host} `] as const,
  );
  return run(await documentedBlock(OPERATIONS, 'nginx'), servers);
}

async function run(
  documented: string,
  replacements: readonly (readonly [string, string])[],
): Promise<DocumentedProxy> {
  const site = await newProxySite();
  const { directory } = site;
  const server = replaceEach(documented, [
    ['listen 443 ssl;', `listen ${site.url.host} ssl;`],
    ['/etc/nginx/', `${directory}/`],
    ...replacements,
  ]);
  const file = join(directory, 'nginx.conf');
  await writeFile(file, around(server, directory));
  await mkdir(join(directory, 'tmp'));
  return DocumentedProxy.run(site, ['nginx', '-p', directory, '-c', file, '-e', 'stderr']);
}

/** The settings of Berth behind it, from the same page. */
export async function documentedSettings(): Promise<Record<string, string>> {
  const line = /^HOST=.* TRUSTED_PROXIES=.*(?= npm start$)/m.exec(await readFile(ACCESS, 'utf8'))?.[0];
  if (line === undefined) throw new Error(`${ACCESS} has no command for a start behind a proxy`);
  return Object.fromEntries(line.split(' ').map((pair): [string, string] => splitAt(pair, '=')));
}

function splitAt(text: string, separator: string): [string, string] {
  const index = text.indexOf(separator);
  return [text.slice(0, index), text.slice(index + separator.length)];
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

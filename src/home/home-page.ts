import { createHash } from 'node:crypto';
import type { RegistryAddress } from '../access/registry-address.js';
import { isLoopback } from '../common/loopback.js';
import type { Configuration } from '../config/configuration.js';

/** How to log in: a sentence and, where a login is needed, lines to copy. */
export interface Login {
  readonly text: string;
  readonly commands: readonly string[];
}

/** What the page says. */
export interface HomePage {
  readonly address: RegistryAddress;
  readonly version: string;
  readonly login: Login;
  /** Whether the server's certificate is of Berth's own authority, which clients must be told to trust. */
  readonly hasOwnAuthority: boolean;
  /** Instead of commands, if requests to this address are refused. */
  readonly refusal: string | undefined;
}

/** Names no account: everybody may see it. */
export function describeLogin({ scheme, host }: RegistryAddress, access: Configuration['access']): Login {
  if (access !== 'token') {
    const text =
      'No login is needed: every client that can reach this address may pull, push and delete images.';
    return { text, commands: [] };
  }
  return {
    text: 'Log in with the name of your account, and its password or one of its secrets (berth_…).',
    commands: [`docker login ${host}`, `podman login${podmanFlag(scheme)} ${host}`],
  };
}

/** @param reason why requests to this address are refused. */
export function describeRefusal(reason: string): string {
  return (
    `Requests to this address are refused: ${reason}. With ACCESS_MODE=token, clients that log in may use it; ` +
    'with ACCESS_MODE=open, every client that can reach Berth may pull, push and delete images.'
  );
}

const STYLE = `
:root { color-scheme: light dark; --text: #1c2024; --muted: #545d66; --back: #ffffff; --box: #f1f3f5; --link: #0a58ca; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e8eaed; --muted: #a6adb5; --back: #14171a; --box: #23282d; --link: #8ab4f8; }
}
body { margin: 0 auto; max-width: 44rem; padding: 2rem 1rem 3rem; background: var(--back); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 2rem; }
h2 { margin: 2rem 0 .5rem; font-size: 1.15rem; }
p { margin: .5rem 0; }
a { color: var(--link); }
.muted { color: var(--muted); }
pre { margin: .25rem 0 1rem; padding: .7rem .9rem; border-radius: .4rem; background: var(--box);
  font: .9rem/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; user-select: all; }
code { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
.address { font-size: 1.25rem; font-weight: 600; }
`;

const ICON =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#0a58ca"/>' +
  '<path d="M8 3v10M3.5 8.5a4.5 4.5 0 0 0 9 0M5.5 5.5h5" fill="none" stroke="#fff" stroke-width="1.5"/></svg>';

/** The page has one style and one icon, both its own. It runs no script and can't be framed. */
export const HOME_PAGE_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** The page for people. */
export function renderHomePage(page: HomePage): string {
  const { address, version, refusal } = page;
  const host = escapeHtml(address.host);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Berth: a container registry at ${host}</title>
<link rel="icon" href="data:image/svg+xml,${encodeURIComponent(ICON)}">
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>Berth</h1>
<p class="muted">An OCI / Docker container registry whose pushes survive. Version ${escapeHtml(version)}</p>
</header>
<main>
<h2>Address</h2>
${lines(host, 'address')}
${refusal === undefined ? instructions(page) : `<p>${escapeHtml(refusal)}</p>`}
<h2>More</h2>
<ul>
<li><a href="/api/docs">Swagger UI</a>: the endpoints of the registry and of the admin API, to try out</li>
<li><a href="/api/docs-json">The OpenAPI document</a></li>
<li><a href="/health/ready">Whether the registry is ready</a></li>
<li>The documentation is in <code>README.md</code> and <code>docs/</code> of Berth's source code</li>
</ul>
</main>
</body>
</html>
`;
}

/** How to use an address. */
function instructions({ address, login, hasOwnAuthority }: HomePage): string {
  const { scheme } = address;
  const host = escapeHtml(address.host);
  const user = login.commands.length === 0 ? '' : '-u my-name ';
  const authority = hasOwnAuthority ? `--cacert ${directoryOf(host)}/ca.crt ` : '';
  return `<p>Images are named <code>${host}/&lt;repository&gt;:&lt;tag&gt;</code>.</p>
${hasOwnAuthority ? howToTrust(host) : ''}<h2>Log in</h2>
<p>${login.text}</p>
${login.commands.map((command) => `${lines(escapeHtml(command))}\n`).join('')}<h2>Push an image</h2>
<p>Docker, with an image of yours instead of <code>my-image</code>:</p>
${lines(`docker tag my-image ${host}/demo/my-image\ndocker push ${host}/demo/my-image`)}
${noteForDocker(scheme, host)}<p>Podman:</p>
${lines(`podman push${podmanFlag(scheme)} my-image ${host}/demo/my-image`)}
<p>See with curl which repositories there are:</p>
${lines(`curl ${user}${authority}${scheme}://${host}/v2/_catalog`)}`;
}

/** For Docker and Podman on Linux. Berth prints the fingerprint when it starts. */
function howToTrust(host: string): string {
  const directory = directoryOf(host);
  return `<h2>Trust this registry</h2>
<p>Its certificate is of an authority of its own. With these lines Docker and Podman trust it. They print the
authority's fingerprint: compare it with the one that Berth printed at its start.</p>
${lines(
  `sudo mkdir -p ${directory}\n` +
    `curl -fsSk https://${host}/auth/ca.crt | sudo tee ${directory}/ca.crt |\n` +
    '  openssl x509 -noout -fingerprint -sha256',
)}
`;
}

function directoryOf(host: string): string {
  return `/etc/docker/certs.d/${host}`;
}

function podmanFlag(scheme: string): string {
  return scheme === 'https' ? '' : ' --tls-verify=false';
}

/** Lines to copy: a click selects all of them. */
function lines(escapedText: string, kind = ''): string {
  return `<pre${kind && ` class="${kind}"`}>${escapedText}</pre>`;
}

/** Docker accepts plain HTTP on loopback only. */
function noteForDocker(scheme: string, host: string): string {
  const name = host.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  if (scheme === 'https' || isLoopback(name)) return '';
  return (
    `<p>This registry has no TLS, so Docker needs it in <code>/etc/docker/daemon.json</code>: ` +
    `<code>{ "insecure-registries": ["${host}"] }</code></p>\n`
  );
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

import { createHash } from 'node:crypto';
import { isLoopback } from '../common/loopback.js';
import type { RegistryAddress } from '../access/registry-address.js';

/** How to log in. Access control changes this text. */
export const LOGIN =
  'No login is needed: every client that can reach this address may pull, push and delete images.';

/** @param reason why requests to this address are refused. */
export function describeRefusal(reason: string): string {
  return (
    `Requests to this address are refused: ${reason}. With ACCESS_MODE=open, every client that can reach Berth ` +
    'may pull, push and delete images.'
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

/**
 * The page for people.
 *
 * @param refusal instead of commands, if requests to this address are refused.
 */
export function renderHomePage(address: RegistryAddress, version: string, refusal?: string): string {
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
${refusal === undefined ? instructions(address.scheme, host) : `<p>${escapeHtml(refusal)}</p>`}
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
function instructions(scheme: string, host: string): string {
  const flag = scheme === 'https' ? '' : ' --tls-verify=false';
  return `<p>Images are named <code>${host}/&lt;repository&gt;:&lt;tag&gt;</code>.</p>
<h2>Log in</h2>
<p>${LOGIN}</p>
<h2>Push an image</h2>
<p>Docker, with an image of yours instead of <code>my-image</code>:</p>
${lines(`docker tag my-image ${host}/demo/my-image\ndocker push ${host}/demo/my-image`)}
${noteForDocker(scheme, host)}<p>Podman:</p>
${lines(`podman push${flag} my-image ${host}/demo/my-image`)}
<p>See with curl which repositories there are:</p>
${lines(`curl ${scheme}://${host}/v2/_catalog`)}`;
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

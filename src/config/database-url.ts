/** Scheme, user and password; hosts; database and parameters. A password may contain commas. */
const PARTS = /^(postgres(?:ql)?:\/\/(?:[^/?#]*@)?)([^/?#@]*)(.*)$/s;

/** What libpq calls the servers that Berth can use. */
const WRITABLE = new Set(['read-write', 'primary']);

/**
 * Returns a URL for each host of a `DATABASE_URL`. Several are separated by commas, as in libpq:
 * `postgres://user:password@host1:5432,host2:5432/database`.
 *
 * @throws Error, without the text, if it is none, or asks for a server that doesn't take writes.
 */
export function databaseUrls(text: string): URL[] {
  const [, start = '', hosts = '', rest = ''] = PARTS.exec(text) ?? [];
  return hosts.split(',').map((host) => {
    if (host === '' && hosts !== '') throw new Error('an empty host');
    return withoutTarget(new URL(`${start}${host}${rest}`));
  });
}

/** Several hosts as in `a:5432,b:5433`. Without credentials. */
export function describeHosts(urls: readonly URL[]): string {
  return urls.map(({ hostname, port }) => `${decodeURIComponent(hostname)}:${port || '5432'}`).join(',');
}

/** Berth always looks for the server that takes writes, and node-postgres doesn't know this parameter. */
function withoutTarget(url: URL): URL {
  const target = url.searchParams.get('target_session_attrs');
  if (target === null) return url;
  if (!WRITABLE.has(target)) throw new Error('another target_session_attrs');
  url.searchParams.delete('target_session_attrs');
  return url;
}

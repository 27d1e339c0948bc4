import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { connect, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';

const authorities = new Map<string, Promise<string>>();

/**
 * The authority of a Berth, from its own `/auth/ca.crt`. It is fetched once for each address, as a person
 * does it with `curl -k`; everything else is verified with it.
 */
export function authorityOf(url: string): Promise<string> {
  const { origin } = new URL(url);
  const found = authorities.get(origin) ?? fetchAuthority(origin);
  authorities.set(origin, found);
  return found;
}

async function fetchAuthority(origin: string): Promise<string> {
  const response = await send(new URL('/auth/ca.crt', origin), {}, { rejectUnauthorized: false });
  if (response.status !== 200) throw new Error(`${origin} has no authority: ${response.status}`);
  return response.text();
}

/** `fetch`; over https it trusts only the server's own authority, or the given one. */
export async function fetchTrusting(url: URL, init: RequestInit = {}, ca?: string): Promise<Response> {
  if (url.protocol === 'http:') return fetch(url, init);
  return send(url, init, { ca: ca ?? (await authorityOf(url.origin)) });
}

/** Opens a connection, with TLS for https. */
export async function openSocket(url: string, options: ConnectionOptions = {}): Promise<Socket> {
  const { protocol, hostname, port } = new URL(url);
  const address = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port), noDelay: true };
  if (protocol === 'http:') {
    const socket = connect(address);
    await once(socket, 'connect');
    return socket;
  }
  const ca = options.ca ?? (await authorityOf(url));
  const socket = connectTls({ ...address, ...options, ca });
  await once(socket, 'secureConnect');
  return socket;
}

async function send(url: URL, init: RequestInit, options: ConnectionOptions): Promise<Response> {
  const { body = null, method = 'GET', signal } = init;
  const headers = Object.fromEntries(new Headers(init.headers));
  const bytes = body === null ? null : Buffer.from(await new Response(body).arrayBuffer());
  if (bytes !== null || ['POST', 'PUT', 'PATCH'].includes(method))
    headers['content-length'] = String(bytes?.length ?? 0);
  const sent = request(url, { method, headers, agent: false, ...options, ...(signal && { signal }) });
  sent.end(bytes ?? undefined);
  const [incoming] = (await once(sent, 'response')) as [IncomingMessage];
  const { statusCode: status = 0 } = incoming;
  const isEmpty = method === 'HEAD' || status === 204 || status === 304;
  if (isEmpty) incoming.resume();
  const received = new Headers();
  for (let n = 0; n < incoming.rawHeaders.length; n += 2)
    received.append(incoming.rawHeaders[n] ?? '', incoming.rawHeaders[n + 1] ?? '');
  const content = isEmpty ? null : (Readable.toWeb(incoming) as ReadableStream);
  return new Response(content, { status, headers: received });
}

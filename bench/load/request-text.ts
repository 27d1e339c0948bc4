import { HOST } from './connection.js';

/** The head of a request. */
export function requestHead(
  port: number,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\nHost: ${HOST}:${port}\r\n${lines.join('')}\r\n`;
}

/** Path and query of a `Location`: relative from Berth, absolute from the peer. */
export function pathOf(location: string | undefined): string {
  if (location === undefined) throw new Error('a response without Location');
  return location.replace(/^https?:\/\/[^/]+/, '');
}

export function withQuery(path: string, query: string): string {
  return `${path}${path.includes('?') ? '&' : '?'}${query}`;
}

import { RawConnection, type RawHeaders, requestHead } from './raw-http.js';

/** Gets the page at / with exactly this `Host`. */
export async function homePage(
  url: string,
  hostHeader: string,
  headers: RawHeaders = [],
  path = '/',
): Promise<Response> {
  const connection = await RawConnection.open(url);
  try {
    const head = requestHead('GET', path, headers).replace('Host: localhost', `Host: ${hostHeader}`);
    await connection.send(head);
    return await connection.response();
  } finally {
    connection.leave();
  }
}

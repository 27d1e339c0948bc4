import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { pino } from 'pino';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '../../../test/support/until.js';
import { Drain } from '../../boot/drain.js';
import { AccessLog } from '../../observability/access-log.js';
import { createAuthority, issueCertificate } from '../../tls/certificate-authority.js';
import type { KeyPair } from '../../tls/key-pair.js';
import { ConnectionLimit } from './connection-limit.js';
import { PendingResponses } from './pending-responses.js';
import { TlsLayer } from './tls-layer.js';

const GET = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';

describe('TLS on the connections of a server', () => {
  let [authority, first, second]: KeyPair[] = [];
  let server: Server;
  let layer: TlsLayer;
  let drain: Drain;
  let port: number;
  let waiting: ServerResponse[];
  const sockets: Socket[] = [];

  beforeAll(async () => {
    authority = await createAuthority(new Date());
    first = await issueCertificate(authority, ['localhost', 'first'], new Date());
    second = await issueCertificate(authority, ['localhost', 'second'], new Date());
  });
  beforeEach(async () => {
    const pending = new PendingResponses();
    const limit = new ConnectionLimit(pending, 2);
    waiting = [];
    server = createServer(
      limit.before((request, response) => {
        pending.add(request.socket, response);
        if (request.url === '/wait') waiting.push(response);
        else response.end('encrypted' in request.socket ? 'tls' : 'plain');
      }),
    );
    layer = new TlsLayer(server, new AccessLog(pino({ level: 'silent' })));
    layer.use(first!);
    limit.watch(server);
    drain = new Drain(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    ({ port } = server.address() as AddressInfo);
  });
  afterEach(() => {
    sockets.splice(0).forEach((socket) => socket.destroy());
    server.close();
    server.closeAllConnections();
  });

  async function secure(): Promise<TLSSocket> {
    const options = { port, host: '127.0.0.1', ca: authority!.cert, servername: 'localhost' };
    const socket = connectTls(options);
    sockets.push(socket.on('error', () => undefined));
    await once(socket, 'secureConnect');
    return socket;
  }

  async function plain(): Promise<Socket> {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined);
    sockets.push(socket);
    await once(socket, 'connect');
    return socket;
  }

  const closed = async (socket: Socket): Promise<void> => {
    if (!socket.closed) await once(socket.resume(), 'close');
  };

  const ask = async (socket: Socket, text = GET): Promise<string> => {
    socket.write(text);
    return String((await once(socket, 'data'))[0]);
  };

  it('keeps open connections when the certificate changes, and new ones have the new one', async () => {
    const before = await secure();
    expect(await ask(before)).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]+tls$/);
    layer.use(second!);
    expect(await ask(before)).toMatch(/^HTTP\/1\.1 200 /);
    const after = await secure();
    expect(before.getPeerCertificate().subjectaltname).toContain('first');
    expect(after.getPeerCertificate().subjectaltname).toContain('second');
  });

  it('passes plain requests on, whole', async () => {
    const socket = await plain();
    expect(await ask(socket, GET)).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]+plain$/);
    expect(await ask(socket, GET)).toMatch(/plain$/);
  });

  it('replaces an idle connection at the limit, and refuses at it', async () => {
    const [idle, busy] = [await secure(), await secure()];
    await ask(idle);
    busy.write(GET.replace('/ ', '/wait '));
    await until('a request', () => waiting.length === 1);
    const third = await secure();
    expect(await ask(third, GET.replace('/ ', '/wait2 '))).toMatch(/^HTTP\/1\.1 200 /);
    await until('the end of the idle one', () => idle.closed);
    expect(busy.closed).toBe(false);
  });

  it('drains as without TLS: idle and unfinished ones at once, busy ones when they are done', async () => {
    const [idle, silent] = [await secure(), await plain()];
    await ask(idle);
    // The beginning of a handshake.
    silent.write(Buffer.from([0x16, 0x03]));
    const busy = await secure();
    busy.write(GET.replace('/ ', '/wait '));
    await until('a request', () => waiting.length === 1);
    drain.limit({ graceSeconds: 200, isHandover: false });
    const drained = drain.run(() => Promise.resolve());
    for (const socket of [idle, silent]) await closed(socket);
    const response = once(busy, 'data');
    waiting[0]?.end('done');
    expect(String((await response)[0])).toMatch(/Connection: close[^]+done$/);
    await drained;
  });

  it('closes a connection whose client leaves in the middle of a handshake', async () => {
    const socket = await plain();
    socket.write(Buffer.from([0x16, 0x03, 0x01]));
    socket.end();
    await closed(socket);
  });
});

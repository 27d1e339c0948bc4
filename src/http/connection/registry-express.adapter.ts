import { createServer, IncomingMessage, ServerResponse } from 'node:http';
import { parse as parseQuery } from 'node:querystring';
import type { NestApplicationOptions } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import express, { type Express } from 'express';
import type { AccessLog } from '../../observability/access-log.js';
import { certificateEnd } from '../../observability/metrics/http.metrics.js';
import { endOf, type KeyPair } from '../../tls/key-pair.js';
import { MAX_HEADER_BYTES, respondToClientErrors } from './client-errors.js';
import { ConnectionLimit } from './connection-limit.js';
import { MAX_HEADERS, refuseExpectation, withConnectionRules } from './connection-rules.js';
import { continueOnRead } from './continue-on-read.js';
import { PendingResponses } from './pending-responses.js';
import { TlsLayer } from './tls-layer.js';

/** Longer than the idle timeout of common load balancers (60 s), so that Berth does not close first. */
const KEEP_ALIVE_TIMEOUT_MS = 75_000;
const HEADERS_TIMEOUT_MS = 60_000;
/** How much of a body is read at once. */
const READ_BYTES = 64 * 1024;

export interface RegistryServerOptions {
  readonly maxConnections: number;
  readonly accessLog: AccessLog;
  /** Proxies whose `X-Forwarded-*` headers count: addresses and CIDRs. */
  readonly trustedProxies: readonly string[];
  /** Whether the server speaks TLS. Call `useCertificate` before it listens. */
  readonly tls: boolean;
}

/**
 * Express under Nest with a server for a registry. A body may take any time while data comes; Node's
 * `requestTimeout` would abort every layer after five minutes. Requests and responses are created with
 * Express's prototypes; Express sets them later, per request, which prevents V8's optimisations (7,000
 * instead of 17,000 requests per second).
 */
export class RegistryExpressAdapter extends ExpressAdapter {
  private tls: TlsLayer | undefined;

  constructor(private readonly serverOptions: RegistryServerOptions) {
    const app = express();
    // Rules of a proxy must match the same paths. It has an effect only before the router exists.
    app.enable('case sensitive routing');
    // Node's parser drops parameters after the first thousand. The request line is bounded already.
    app.set('query parser', (query: string) => parseQuery(query, undefined, undefined, { maxKeys: 0 }));
    if (serverOptions.trustedProxies.length > 0) app.set('trust proxy', serverOptions.trustedProxies);
    super(app);
  }

  /** Uses a certificate for connections that begin from now on. */
  useCertificate(pair: KeyPair): void {
    this.tls?.use(pair);
    certificateEnd.set(endOf(pair).getTime() / 1000);
  }

  override initHttpServer(_options: NestApplicationOptions): void {
    const app = this.getInstance<Express>();
    class RegistryRequest extends IncomingMessage {
      bytesReceived = 0;

      /** Node's parser calls it for each piece of the body. */
      override push(chunk: Uint8Array | null, encoding?: BufferEncoding): boolean {
        if (chunk !== null) this.bytesReceived += chunk.length;
        return super.push(chunk, encoding);
      }
    }
    class RegistryResponse extends ServerResponse<RegistryRequest> {}
    // The log, the connection rules, the pipeline and the handler listen to a blob response. Node warns of a
    // leak at more than ten listeners.
    RegistryResponse.prototype.setMaxListeners(30);
    Object.setPrototypeOf(RegistryRequest.prototype, app.request);
    Object.setPrototypeOf(RegistryResponse.prototype, app.response);
    Object.assign(app, { request: RegistryRequest.prototype, response: RegistryResponse.prototype });

    const pending = new PendingResponses();
    const { accessLog, maxConnections, tls } = this.serverOptions;
    const limit = new ConnectionLimit(pending, maxConnections);
    const rules = { pending, log: accessLog, requiresTls: tls };
    const server = createServer(
      {
        IncomingMessage: RegistryRequest,
        ServerResponse: RegistryResponse,
        requestTimeout: 0,
        maxHeaderSize: MAX_HEADER_BYTES,
        headersTimeout: HEADERS_TIMEOUT_MS,
        keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
        highWaterMark: READ_BYTES,
        noDelay: true,
        // The connection rules refuse it instead, with an error of the spec.
        requireHostHeader: false,
      },
      withConnectionRules(limit.before(app), rules),
    );
    // One more than are accepted: Node ignores the others without a word.
    server.maxHeadersCount = MAX_HEADERS + 1;
    server.on('checkContinue', withConnectionRules(continueOnRead(limit.before(app)), rules));
    server.on('checkExpectation', withConnectionRules(limit.before(refuseExpectation), rules));
    respondToClientErrors(server, pending, accessLog);
    if (tls) this.tls = new TlsLayer(server, accessLog);
    limit.watch(server);
    this.httpServer = server;
  }
}

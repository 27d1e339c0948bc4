import { createServer, IncomingMessage, ServerResponse } from 'node:http';
import { parse as parseQuery } from 'node:querystring';
import type { NestApplicationOptions } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import express, { type Express } from 'express';
import { answerClientErrors } from './client-error.js';
import { ConnectionLimit } from './connection-limit.js';
import { answerUnknownExpectation, withConnectionRules } from './connection-rules.js';
import { PendingResponses } from './pending-responses.js';

/** Longer than the idle timeout of common load balancers (60 s), so that it is never Berth that closes first. */
const KEEP_ALIVE_TIMEOUT_MS = 75_000;
const HEADERS_TIMEOUT_MS = 60_000;
/** How much of a body the kernel is asked for at once. */
const READ_BYTES = 64 * 1024;

/**
 * Express under Nest, with a server made for a registry: a body may take as long as it keeps moving (Node's
 * `requestTimeout` would end every layer after five minutes), and requests are created with the prototypes that
 * Express would otherwise give each of them later, which costs V8 its optimisations (about 7 k → 17 k requests/s).
 */
export class RegistryExpressAdapter extends ExpressAdapter {
  /** @param connectionBound most connections at once. */
  constructor(private readonly connectionBound: number) {
    const app = express();
    // Before the router exists, or it has no effect: a proxy's rules by path must mean the same paths.
    app.enable('case sensitive routing');
    // Node's parser drops what comes after a thousand parameters; the request line is bounded as it is.
    app.set('query parser', (query: string) => parseQuery(query, undefined, undefined, { maxKeys: 0 }));
    super(app);
  }

  override initHttpServer(_options: NestApplicationOptions): void {
    const app = this.getInstance<Express>();
    class RegistryRequest extends IncomingMessage {}
    class RegistryResponse extends ServerResponse<RegistryRequest> {}
    // A layer on its way out is watched by the log, the connection rules, the pipeline and its handler: more than the
    // ten listeners that Node takes for a leak.
    RegistryResponse.prototype.setMaxListeners(30);
    Object.setPrototypeOf(RegistryRequest.prototype, app.request);
    Object.setPrototypeOf(RegistryResponse.prototype, app.response);
    Object.assign(app, { request: RegistryRequest.prototype, response: RegistryResponse.prototype });

    const pending = new PendingResponses();
    const limit = new ConnectionLimit(pending, this.connectionBound);
    const server = createServer(
      {
        IncomingMessage: RegistryRequest,
        ServerResponse: RegistryResponse,
        requestTimeout: 0,
        headersTimeout: HEADERS_TIMEOUT_MS,
        keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
        highWaterMark: READ_BYTES,
        noDelay: true,
        // Refused by the connection rules instead, in the spec's shape.
        requireHostHeader: false,
      },
      withConnectionRules(limit.before(app), pending),
    );
    server.on('checkExpectation', withConnectionRules(limit.before(answerUnknownExpectation), pending));
    answerClientErrors(server, pending);
    limit.watch(server);
    this.httpServer = server;
  }
}

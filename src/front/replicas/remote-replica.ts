import { setMaxListeners } from 'node:events';
import { type Agent, type ClientRequest, type OutgoingHttpHeaders, request } from 'node:http';
import { Agent as HttpsAgent, request as requestTls } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { DivertibleAgent } from './divertible-connection.js';

/** Backoff after failures. A successful probe ends it. */
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 2_000;

/** Free connections to one replica that are kept. */
const MAX_FREE_SOCKETS = 64;

/** What a front sends to a replica, without the body. */
export interface RequestHead {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: OutgoingHttpHeaders;
}

/** One replica, as a front sees it: an address, and whether it can be used now. */
export class RemoteReplica {
  readonly name: string;
  /** The number of requests in progress. */
  active = 0;
  /** When it last sent anything, by `performance.now()`. */
  heardAt = -Infinity;
  private isReady = false;
  private failures = 0;
  private restsUntil = 0;
  private leaving = newController();
  private losing = newController();
  private readonly agent: Agent;
  private readonly lookup: LookupFunction;
  private readonly send: typeof request;

  /** @param address one of the IP addresses of the origin's host. */
  constructor(
    private readonly origin: URL,
    readonly address: string,
  ) {
    const host = isIP(address) === 6 ? `[${address}]` : address;
    this.name = `${origin.protocol}//${host}:${portOf(origin)}`;
    this.lookup = (_host, { all }, found) =>
      all === true ? found(null, [{ address, family: isIP(address) }]) : found(null, address, isIP(address));
    const options = { keepAlive: true, maxFreeSockets: MAX_FREE_SOCKETS, noDelay: true, lookup: this.lookup };
    const isTls = origin.protocol === 'https:';
    this.agent = isTls ? new HttpsAgent(options) : new DivertibleAgent(options);
    this.send = isTls ? requestTls : request;
  }

  /** Whether requests may be sent to it now. */
  get isUsable(): boolean {
    return this.isReady && performance.now() >= this.restsUntil;
  }

  /** Aborts when uploads and pulls in progress should go on at another replica: it stops, or is lost. */
  get left(): AbortSignal {
    return this.leaving.signal;
  }

  /** Aborts when it does not respond any more: no request in progress will be answered. */
  get lost(): AbortSignal {
    return this.losing.signal;
  }

  /** @param isAlone whether the connection is used for this request only. */
  open({ method, target, headers }: RequestHead, { isAlone = false } = {}): ClientRequest {
    const { hostname, port, protocol } = this.origin;
    return this.send({
      ...{ method, path: target, headers, protocol, hostname: hostname.replace(/^\[|\]$/g, ''), port },
      ...(isAlone ? { agent: false, lookup: this.lookup } : { agent: this.agent }),
    });
  }

  /** Called when anything has arrived from it. */
  heard(): void {
    this.heardAt = performance.now();
  }

  /** A request was answered. */
  worked(): void {
    this.heard();
    this.failures = 0;
    this.restsUntil = 0;
  }

  /** A request failed: it rests, longer each time. */
  failed(): void {
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** this.failures, MAX_PAUSE_MS);
    this.failures += 1;
    this.restsUntil = performance.now() + pauseMs;
  }

  /** A probe succeeded. */
  becomeReady(): void {
    if (!this.isReady) this.worked();
    this.isReady = true;
  }

  /** A probe failed: it gets no new request. Those in progress continue. */
  becomeUnready(): void {
    this.isReady = false;
  }

  /** It stops, or has ended: uploads and pulls in progress leave it. */
  becomeClosed(): void {
    this.becomeUnready();
    this.leaving = aborted(this.leaving, 'it is stopping, or has ended');
  }

  /** It does not respond: all requests in progress fail. */
  becomeSilent(): void {
    this.becomeUnready();
    this.leaving = aborted(this.leaving, 'it does not respond');
    this.losing = aborted(this.losing, 'it does not respond');
  }

  close(): void {
    this.becomeClosed();
    this.agent.destroy();
  }
}

/** Aborts a controller, and returns the next one. */
function aborted(controller: AbortController, reason: string): AbortController {
  controller.abort(new Error(reason));
  return newController();
}

/** Each request in progress listens to it, so many listeners are no leak. */
function newController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

function portOf({ port, protocol }: URL): string {
  if (port !== '') return port;
  return protocol === 'https:' ? '443' : '80';
}

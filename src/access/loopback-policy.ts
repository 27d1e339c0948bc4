import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import { Injectable } from '@nestjs/common';
import { Configuration } from '../config/configuration.js';
import { isLoopback } from '../common/loopback.js';
import { RegistryError } from '../oci/errors.js';
import { allowsPage } from './cross-origin.js';

/**
 * Access that is open on loopback is for users of this machine, not for the web pages that they visit. A page
 * can send requests to 127.0.0.1 directly, which shows in `Origin` or `Sec-Fetch-Site`, or through a host
 * name that resolves to 127.0.0.1 (DNS rebinding), which shows in `Host`. Both are refused without
 * `ACCESS_MODE=open`. Registry clients do not send the first two headers. Pages of `CORS_ORIGINS` may use
 * `/v2`. Requests of other machines that a proxy passes on are refused, too.
 */
@Injectable()
export class LoopbackPolicy {
  /** Nearly all requests have the same host. Parsing it each time took a twentieth of a small GET. */
  private lastLocalHost: string | undefined;

  constructor(private readonly configuration: Configuration) {}

  /** Says why requests with this `Host` header are refused; undefined if they are not. */
  describeHostRefusal(host: string | undefined): string | undefined {
    if (this.configuration.access !== 'loopback') return undefined;
    if (host === undefined || host === this.lastLocalHost) return undefined;
    if (!isLoopback(hostnameOf(`http://${host}`))) {
      return 'without ACCESS_MODE=open, the Host must be a loopback name: 127.0.0.1, [::1] or localhost';
    }
    this.lastLocalHost = host;
    return undefined;
  }

  /** @throws RegistryError DENIED for a foreign host or a foreign web page. */
  refuseForeign(request: IncomingMessage): void {
    if (this.configuration.access !== 'loopback') return;
    const refusal = this.describeHostRefusal(request.headers.host);
    if (refusal !== undefined)
      throw new RegistryError('DENIED', `${refusal}; ACCESS_MODE=token lets clients log in, by any name`);
    if (isForwardedFromElsewhere(request)) {
      throw new RegistryError(
        'DENIED',
        'access is open to this machine only, and a proxy forwards this request from another one: ' +
          'ACCESS_MODE=token lets other machines in with a login, ACCESS_MODE=open everyone',
      );
    }
    if (isFromAnotherPage(request) && !allowsPage(this.configuration, request)) {
      throw new RegistryError(
        'DENIED',
        'without ACCESS_MODE=open, other web pages are refused, except those of CORS_ORIGINS on /v2',
      );
    }
  }
}

/**
 * Whether a web page of another origin sent the request. Scripts and forms send `Origin`. Images and scripts
 * without CORS do not, but browsers add `Sec-Fetch-Site` to every request. Following a link is harmless: the
 * page with the link cannot read the response.
 */
function isFromAnotherPage({ method, headers, socket }: IncomingMessage): boolean {
  const { host = '', origin, 'sec-fetch-site': site } = headers;
  const scheme = socket instanceof TLSSocket ? 'https' : 'http';
  if (origin !== undefined && origin !== `${scheme}://${host}`) return true;
  if (site === undefined || site === 'same-origin' || site === 'none') return false;
  const followsLink =
    method === 'GET' && headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document';
  return !followsLink;
}

/** Whether a proxy on this machine says that its client is on another one. */
function isForwardedFromElsewhere({ headers }: IncomingMessage): boolean {
  const forwarded = headers['x-forwarded-for'];
  if (forwarded === undefined) return false;
  const addresses = [forwarded].flat().join(',').split(',');
  return !addresses.every((address) => isLoopback(address.trim()));
}

/** The host name of a URL, without the brackets of an IPv6 address; empty if the URL is malformed. */
function hostnameOf(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname.replace(/^\[|\]$/g, '') : '';
}

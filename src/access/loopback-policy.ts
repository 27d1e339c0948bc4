import type { IncomingMessage } from 'node:http';
import { Injectable } from '@nestjs/common';
import { Configuration } from '../config/configuration.js';
import { isLoopback } from '../common/loopback.js';
import { RegistryError } from '../oci/errors.js';

/**
 * "Open on loopback" is meant for the people of this machine, not for the web pages that they look at. A page
 * can send requests to 127.0.0.1: directly, which shows in `Origin` or `Sec-Fetch-Site`, or under a name of
 * its own that it had resolved to 127.0.0.1 (DNS rebinding), which shows in `Host`. Both are refused until
 * `ACCESS_MODE=open` says in words that everybody is welcome. Registry clients send neither of the first two
 * headers.
 */
@Injectable()
export class LoopbackPolicy {
  /** Nearly all requests name the same host; to parse it each time cost a twentieth of a small GET. */
  private lastLocalHost: string | undefined;

  constructor(private readonly configuration: Configuration) {}

  /** @throws RegistryError DENIED for what comes from somewhere else. */
  refuseForeign(request: IncomingMessage): void {
    if (this.configuration.accessMode === 'open') return;
    const { host } = request.headers;
    if (host !== undefined && host !== this.lastLocalHost) {
      if (!isLoopback(hostnameOf(`http://${host}`))) {
        throw new RegistryError(
          'DENIED',
          'without ACCESS_MODE=open this registry answers to the names of this machine alone, such as 127.0.0.1 or localhost',
        );
      }
      this.lastLocalHost = host;
    }
    if (isFromAnotherPage(request)) {
      throw new RegistryError(
        'DENIED',
        'without ACCESS_MODE=open this registry does not serve other web pages',
      );
    }
  }
}

/**
 * Whether a web page of another origin made the request. `Origin` shows it for scripts and forms; an image or
 * a script without CORS has none, but browsers add `Sec-Fetch-Site` to whatever they send. To follow a link
 * is no harm: the page that has it doesn't see what comes back.
 */
function isFromAnotherPage({ method, headers }: IncomingMessage): boolean {
  const { host = '', origin, 'sec-fetch-site': site } = headers;
  if (origin !== undefined && origin !== `http://${host}`) return true;
  if (site === undefined || site === 'same-origin' || site === 'none') return false;
  const followsLink =
    method === 'GET' && headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document';
  return !followsLink;
}

/** The name in a URL, without the brackets of an IPv6 address; nothing where it can't be read. */
function hostnameOf(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname.replace(/^\[|\]$/g, '') : '';
}

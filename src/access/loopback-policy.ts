import type { IncomingMessage } from 'node:http';
import { Injectable } from '@nestjs/common';
import { Configuration } from '../config/configuration.js';
import { isLoopback } from '../config/loopback.js';
import { RegistryError } from '../oci/errors.js';

/**
 * "Open on loopback" is meant for the people of this machine, not for the web pages that they look at. A page can send
 * requests to 127.0.0.1: directly, which shows in `Origin`, or under a name of its own that it had resolved to 127.0.0.1
 * (DNS rebinding), which shows in `Host`. Both are refused until `ACCESS_MODE=open` says in words that everybody is
 * welcome. Registry clients send no `Origin`.
 */
@Injectable()
export class LoopbackPolicy {
  /** Nearly all requests name the same host; to parse it each time cost a twentieth of a small GET. */
  private lastLocalHost: string | undefined;

  constructor(private readonly configuration: Configuration) {}

  /** @throws RegistryError DENIED for what comes from somewhere else. */
  refuseForeign({ headers }: IncomingMessage): void {
    if (this.configuration.accessMode === 'open') return;
    const { host, origin } = headers;
    if (host !== undefined && host !== this.lastLocalHost) {
      if (!isLoopback(hostnameOf(`http://${host}`))) {
        throw new RegistryError(
          'DENIED',
          'without ACCESS_MODE=open this registry answers to the names of this machine alone, such as 127.0.0.1 or localhost',
        );
      }
      this.lastLocalHost = host;
    }
    if (origin !== undefined && origin !== `http://${host ?? ''}`) {
      throw new RegistryError(
        'DENIED',
        'without ACCESS_MODE=open this registry does not serve other web pages',
      );
    }
  }
}

/** The name in a URL, without the brackets of an IPv6 address; nothing where it can't be read. */
function hostnameOf(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname.replace(/^\[|\]$/g, '') : '';
}

import { LRUCache } from 'lru-cache';
import { SIGNED_URL_SECONDS } from '../../config/object-store-rules.js';

/**
 * A URL is reused for this long. Its last client has eleven minutes to start, and at least one if a temporary
 * credential expires earlier, because SDKs renew those five minutes ahead.
 */
const REUSE_MS = 4 * 60 * 1000;
const MAX_URLS = 10_000;

/** Reuses signed URLs. They are credentials, so they are kept only in memory. */
export class SignedUrls {
  private readonly urls = new LRUCache<string, Promise<URL>>({ max: MAX_URLS, ttl: REUSE_MS });

  constructor(private readonly sign: (name: string, expirySeconds: number) => Promise<URL>) {}

  of(name: string): Promise<URL> {
    const known = this.urls.get(name);
    if (known !== undefined) return known;
    const signed = this.sign(name, SIGNED_URL_SECONDS);
    this.urls.set(name, signed);
    signed.catch(() => this.urls.delete(name));
    return signed;
  }
}

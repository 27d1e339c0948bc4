import { LRUCache } from 'lru-cache';

/** Long enough for a client to begin; a download that has begun goes on after that. */
const EXPIRY_SECONDS = 15 * 60;
/**
 * A URL is given out for so long: whoever gets it last still has eleven minutes, and one at least where a temporary
 * credential ends before that, which SDKs renew five minutes ahead.
 */
const REUSE_MS = 4 * 60 * 1000;
const MOST_URLS = 10_000;

/** Signed URLs, each made once for many clients. They are credentials, and kept in memory alone. */
export class SignedUrls {
  private readonly urls = new LRUCache<string, Promise<URL>>({ max: MOST_URLS, ttl: REUSE_MS });

  constructor(private readonly sign: (name: string, expirySeconds: number) => Promise<URL>) {}

  of(name: string): Promise<URL> {
    const known = this.urls.get(name);
    if (known !== undefined) return known;
    const made = this.sign(name, EXPIRY_SECONDS);
    this.urls.set(name, made);
    made.catch(() => this.urls.delete(name));
    return made;
  }
}

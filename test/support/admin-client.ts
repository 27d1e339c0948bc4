import type { RegistryClient } from './registry-client.js';

/** An error of the admin API. */
export interface ProblemBody {
  type: string;
  title: string;
  status: number;
  detail: string;
  requestId: string;
}

interface PageBody<Item> {
  items: Item[];
  nextCursor: string | null;
}

const JSON_BODY = { 'Content-Type': 'application/json' };

/** Sends a test's requests to the admin API. */
export class AdminClient {
  constructor(private readonly client: RegistryClient) {}

  fetch(path: string, init?: RequestInit): Promise<Response> {
    return this.client.fetch(`/api/v1${path}`, init);
  }

  async get<Body>(path: string): Promise<Body> {
    const response = await this.fetch(path);
    if (response.status !== 200) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Body;
  }

  /** Sends a request with a body of JSON, or without one. */
  async send(method: string, path: string, body?: unknown): Promise<Response> {
    const content = body === undefined ? {} : { body: JSON.stringify(body), headers: JSON_BODY };
    return this.fetch(path, { method, ...content });
  }

  /** Sends a request and returns the JSON of its response. @throws unless it has this status */
  async call<Body>(method: string, path: string, status: number, body?: unknown): Promise<Body> {
    const response = await this.send(method, path, body);
    const text = await response.text();
    if (response.status !== status) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text === '' ? undefined : JSON.parse(text)) as Body;
  }

  /** All pages of a list, one request each. */
  async pages<Item>(path: string, limit: number): Promise<Item[][]> {
    const pages: Item[][] = [];
    let cursor: string | null = null;
    do {
      const start = `${path}${path.includes('?') ? '&' : '?'}limit=${limit}`;
      const url: string = cursor === null ? start : `${start}&cursor=${cursor}`;
      const page: PageBody<Item> = await this.get(url);
      pages.push(page.items);
      cursor = page.nextCursor;
    } while (cursor !== null);
    return pages;
  }

  /** Returns the problem of a response. @throws unless it is one of this status */
  async problem(path: string, status: number, init?: RequestInit): Promise<ProblemBody> {
    const response = await this.fetch(path, init);
    const type = response.headers.get('content-type');
    const text = await response.text();
    if (response.status !== status || type !== 'application/problem+json') {
      throw new Error(`${path}: expected a problem of ${status}, got ${response.status} ${type}: ${text}`);
    }
    return JSON.parse(text) as ProblemBody;
  }
}

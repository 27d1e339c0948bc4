import { createCipheriv } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf, RegistryClient } from './registry-client.js';
import { SlowRequest } from './slow-request.js';
import { until } from './until.js';

/** Bytes that are the same in every run and hard to compress. */
export function patternBytes(length: number, seed = 1): Buffer {
  const key = Buffer.alloc(16);
  key.writeUInt32LE(seed);
  // A loop over the bytes takes seconds in the context of a test file, where each global is looked up.
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length));
}

/** Returns how many bytes of an upload the driver has. */
export type EndOfUpload = (location: string) => number | Promise<number>;

/** One upload, seen from outside while Berths start and stop. */
export class UploadProbe {
  private constructor(
    private readonly name: string,
    readonly location: string,
    private readonly endOf: EndOfUpload,
  ) {}

  /** @param looking how many bytes the driver has, or the `DATA_DIR` of a Berth on the file system driver */
  static async begin(
    url: string,
    looking: EndOfUpload | string,
    name = 'big/layer',
    query = '',
  ): Promise<UploadProbe> {
    const location = await new RegistryClient(url).startUpload(name, query);
    return new UploadProbe(name, location, typeof looking === 'string' ? endOfFile(looking) : looking);
  }

  /** The durable offset that clients get. */
  async offset(url: string): Promise<number> {
    const ask = () => fetch(new URL(this.location, url));
    // Retried once, as clients do: a kept connection may belong to a process that was just killed.
    const response = await ask().catch(ask);
    if (response.status !== 204) throw new Error(`upload status: ${response.status}`);
    const [, last = '0'] = /^0-(\d+)$/.exec(response.headers.get('range') ?? '') ?? [];
    // `0-0` means no byte or one; these tests never send just one.
    return last === '0' ? 0 : Number(last) + 1;
  }

  /** Starts a streamed PATCH of the rest. */
  patch(url: string): SlowRequest {
    return new SlowRequest('PATCH', new URL(this.location, url), {
      'Content-Type': 'application/octet-stream',
    });
  }

  /** Appends a chunk in one request. */
  async append(url: string, start: number, bytes: Uint8Array): Promise<number> {
    const range = `${start}-${start + bytes.length - 1}`;
    const headers = { 'Content-Type': 'application/octet-stream', 'Content-Range': range };
    return (await fetch(new URL(this.location, url), { method: 'PATCH', body: bytes, headers })).status;
  }

  /** Sends the missing bytes of `whole`, commits, and returns the digest of what the registry serves. */
  async finish(url: string, whole: Uint8Array): Promise<string> {
    const digest = digestOf(whole);
    const start = await this.offset(url);
    if (start < whole.length) await this.append(url, start, whole.subarray(start));
    const put = await fetch(new URL(`${this.location}?digest=${digest}`, url), { method: 'PUT' });
    if (put.status !== 201) throw new Error(`finishing: ${put.status} ${await put.text()}`);
    const blob = await fetch(new URL(`/v2/${this.name}/blobs/${digest}`, url));
    return digestOf(new Uint8Array(await blob.arrayBuffer()));
  }

  /** Waits until the storage has that many bytes, acknowledged or not. */
  async bytesWritten(expected: number): Promise<void> {
    await until(`${expected} bytes in storage`, async () => (await this.written()) === expected);
  }

  /** Waits until at least that many bytes are durable. Returns the offset that clients get. */
  async durable(url: string, atLeast: number): Promise<number> {
    let told = 0;
    await until(`${atLeast} bytes durable`, async () => (told = await this.offset(url)) >= atLeast);
    return told;
  }

  /** How many bytes of the upload the storage has, acknowledged or not. */
  async written(): Promise<number> {
    return this.endOf(this.location);
  }
}

function endOfFile(dataDir: string): EndOfUpload {
  return async (location) => {
    const path = join(dataDir, 'storage/uploads', String(location.split('/').at(-1)));
    return stat(path).then(
      ({ size }) => size,
      () => 0,
    );
  };
}

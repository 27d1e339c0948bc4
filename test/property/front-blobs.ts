import { Refusal } from './front-refusal.js';
import type { ScriptedRegistry } from './front-registry.js';
import type { Answer, ScriptedRequest } from './front-request.js';

/** Pulls and deletions of blobs. */
export class BlobRequests {
  constructor(private readonly registry: ScriptedRegistry) {}

  async answer(request: ScriptedRequest, repository: string, digest: string): Promise<Answer> {
    await Promise.resolve();
    request.expectNoRefusal('before');
    const key = `${repository} ${digest}`;
    if (request.method === 'DELETE') return this.delete(request, repository, digest);
    const bytes = this.registry.blobs.get(key);
    if (bytes === undefined) throw new Refusal(404, 'BLOB_UNKNOWN');
    const headers = {
      'Docker-Content-Digest': digest,
      ETag: `"${digest}"`,
      'Accept-Ranges': 'bytes',
      'Content-Type': 'application/octet-stream',
    };
    if (request.header('if-none-match') === headers.ETag) return { status: 304, headers };
    if (request.method === 'HEAD')
      return { status: 200, headers: { ...headers, 'Content-Length': bytes.length } };
    return { ...this.part(request, bytes, headers.ETag, headers) };
  }

  private part(
    request: ScriptedRequest,
    bytes: Buffer,
    etag: string,
    headers: Record<string, string>,
  ): Answer {
    const condition = request.header('if-range');
    const range = condition === undefined || condition === etag ? request.header('range') : undefined;
    const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(range ?? '') ?? [];
    if (first === '' && last === '') return { status: 200, headers, body: bytes };
    const start = first === '' ? Math.max(bytes.length - Number(last), 0) : Number(first);
    const end = first === '' || last === '' ? bytes.length - 1 : Math.min(Number(last), bytes.length - 1);
    if (start > end) throw new Refusal(416, 'UNSUPPORTED', { 'Content-Range': `bytes */${bytes.length}` });
    const contentRange = `bytes ${start}-${end}/${bytes.length}`;
    return {
      status: 206,
      headers: { ...headers, 'Content-Range': contentRange },
      body: bytes.subarray(start, end + 1),
    };
  }

  private delete(request: ScriptedRequest, repository: string, digest: string): Answer {
    return this.registry.once(request, Buffer.of(), () => {
      if (!this.registry.blobs.delete(`${repository} ${digest}`)) throw new Refusal(404, 'BLOB_UNKNOWN');
      this.registry.effects.push(`${repository}: blob ${digest} deleted`);
      return { status: 202 };
    });
  }
}

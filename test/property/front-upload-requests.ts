import { randomUUID } from 'node:crypto';
import { digestOf } from '../../src/oci/digest.js';
import { Refusal } from './front-refusal.js';
import type { ScriptedRegistry } from './front-registry.js';
import type { Answer, ScriptedRequest } from './front-request.js';
import { ScriptedSession, type SessionWriter } from './front-session.js';

/** Behind this offset, more frequent checkpoints than these would test nothing else. */
const LARGE_OFFSET = 4_096;
const LARGE_CHECKPOINT_BYTES = 65_536;

/** The upload protocol of Berth (docs/api.md). */
export class UploadRequests {
  constructor(
    private readonly registry: ScriptedRegistry,
    private readonly checkpointBytes: number,
  ) {}

  async answer(request: ScriptedRequest, repository: string, id: string): Promise<Answer> {
    const { method } = request;
    if (method === 'PATCH' || method === 'PUT') return this.write(request, repository, id);
    if (method === 'POST' && request.query.has('digest')) return this.pushWhole(request, repository);
    request.expectNoRefusal('before');
    if (method === 'POST') return this.start(request, repository);
    const session = this.find(repository, id);
    if (method === 'GET') return { status: 204, headers: sessionHeaders(session) };
    expectOpen(session);
    await session.acquire(request.exchange);
    session.state = 'cancelled';
    return { status: 204 };
  }

  private start(request: ScriptedRequest, repository: string): Answer {
    const { query } = request;
    if (query.has('mount')) return this.mount(request, repository, query.get('mount') ?? '');
    request.exchange.expectAlive();
    const session = new ScriptedSession(repository, randomUUID());
    this.registry.sessions.set(session.id, session);
    return { status: 202, headers: sessionHeaders(session) };
  }

  private mount(request: ScriptedRequest, repository: string, digest: string): Answer {
    const { blobs } = this.registry;
    return this.registry.once(request, Buffer.of(), () => {
      const bytes = blobs.get(`${request.query.get('from') ?? ''} ${digest}`);
      if (bytes === undefined) throw new Refusal(404, 'BLOB_UNKNOWN');
      this.registry.storeBlob(repository, digest, bytes);
      return created(repository, digest);
    });
  }

  private async pushWhole(request: ScriptedRequest, repository: string): Promise<Answer> {
    const bytes = await request.wholeBody();
    request.exchange.expectAlive();
    const digest = request.query.get('digest') ?? '';
    if (digestOf('sha256', bytes) !== digest) throw new Refusal(400, 'DIGEST_INVALID');
    this.registry.storeBlob(repository, digest, bytes);
    return created(repository, digest);
  }

  private async write(request: ScriptedRequest, repository: string, id: string): Promise<Answer> {
    const session = this.find(repository, id);
    const digest = request.query.get('digest') ?? undefined;
    if (request.method === 'PUT' && digest === undefined) throw new Refusal(400, 'DIGEST_INVALID');
    if (session.state === 'committed' && session.digest === digest) {
      request.expectNoRefusal('before');
      return created(repository, session.digest ?? '');
    }
    expectOpen(session);
    const writer = await session.acquire(request.exchange);
    try {
      if (request.method === 'PATCH' || request.length !== 0) await this.append(request, writer);
      else request.expectNoRefusal('before');
      writer.expectToHold();
      if (digest === undefined) return { status: 202, headers: sessionHeaders(session) };
      return this.commit(session, digest);
    } finally {
      writer.salvage();
      writer.release();
    }
  }

  /** Appends the body without the bytes that the session has already. */
  private async append(request: ScriptedRequest, writer: SessionWriter): Promise<void> {
    const { session } = writer;
    const { start, end = Infinity } = this.placeOf(request, session);
    const known = session.bytes.subarray(start);
    if (known.length === 0) session.bodyStart = start;
    let at = 0;
    request.progress(session.offset);
    for await (const chunk of request.body()) {
      const repeated = chunk.subarray(0, Math.max(known.length - at, 0));
      if (!known.subarray(at, at + repeated.length).equals(repeated)) throw offsetError(session);
      at += chunk.length;
      const room = end + 1 - writer.offset;
      this.take(request, writer, chunk.subarray(repeated.length).subarray(0, room));
    }
    if (at > 0 && at < known.length) throw offsetError(session);
    if (end !== Infinity && start + at !== end + 1) throw new Refusal(400, 'SIZE_INVALID');
    writer.checkpoint();
  }

  private take(request: ScriptedRequest, writer: SessionWriter, bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      const least = writer.offset < LARGE_OFFSET ? 0 : LARGE_CHECKPOINT_BYTES;
      const room = Math.max(this.checkpointBytes, least) - writer.uncheckpointedBytes;
      const part = bytes.subarray(at, at + room);
      writer.write(part);
      at += part.length;
      if (part.length < room) return;
      writer.checkpoint();
      request.progress(writer.offset);
    }
  }

  /**
   * Returns where the body begins, and its last byte if that is known.
   *
   * @throws Refusal if the body can't begin there.
   */
  private placeOf(request: ScriptedRequest, session: ScriptedSession): { start: number; end?: number } {
    const { length, query } = request;
    const stated = request.header('upload-offset');
    const range = rangeOf(request);
    const offset = stated === undefined ? range?.start : Number(stated);
    if (range !== undefined && range.start !== offset) throw new Refusal(400, 'BLOB_UPLOAD_INVALID');
    if (offset !== undefined && offset !== session.offset) throw offsetError(session);
    if (range !== undefined) {
      if (length !== undefined && length !== range.end - range.start + 1)
        throw new Refusal(400, 'SIZE_INVALID');
      return range;
    }
    if (offset !== undefined) return { start: offset };
    // An empty body may be sent again anyway.
    if (!query.has('offset') && length !== 0)
      this.registry.violations.push(`a ${request.method} that states no offset`);
    const start = Number(query.get('offset') ?? session.offset);
    const isTooShort = length !== undefined && length > 0 && start + length < session.offset;
    if (![0, session.bodyStart, session.offset].includes(start) || isTooShort) throw offsetError(session);
    return { start };
  }

  private commit(session: ScriptedSession, digest: string): Answer {
    const { bytes, repository } = session;
    if (digestOf('sha256', bytes) !== digest) throw new Refusal(400, 'DIGEST_INVALID');
    session.state = 'committed';
    session.digest = digest;
    this.registry.storeBlob(repository, digest, bytes);
    return created(repository, digest);
  }

  private find(repository: string, id: string): ScriptedSession {
    const session = this.registry.sessions.get(id);
    if (session?.repository !== repository || session.state === 'cancelled')
      throw new Refusal(404, 'BLOB_UPLOAD_UNKNOWN');
    return session;
  }
}

function rangeOf(request: ScriptedRequest): { start: number; end: number } | undefined {
  const text = request.header('content-range');
  if (text === undefined) return undefined;
  const [, start, end] = /^(\d+)-(\d+)$/.exec(text) ?? [];
  if (start === undefined) throw new Refusal(400, 'BLOB_UPLOAD_INVALID');
  return { start: Number(start), end: Number(end) };
}

function expectOpen({ state }: ScriptedSession): void {
  if (state !== 'open') throw new Refusal(404, 'BLOB_UPLOAD_UNKNOWN');
}

function offsetError(session: ScriptedSession): Refusal {
  return new Refusal(416, 'BLOB_UPLOAD_INVALID', sessionHeaders(session));
}

function sessionHeaders({ repository, id, offset }: ScriptedSession): Record<string, string> {
  return {
    Location: `/v2/${repository}/blobs/uploads/${id}?offset=${offset}`,
    Range: `0-${Math.max(offset - 1, 0)}`,
    'Upload-Offset': String(offset),
    'Docker-Upload-UUID': id,
  };
}

function created(repository: string, digest: string): Answer {
  return {
    status: 201,
    headers: { Location: `/v2/${repository}/blobs/${digest}`, 'Docker-Content-Digest': digest },
  };
}

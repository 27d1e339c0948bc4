import { digestOf } from '../../src/oci/digest.js';
import { BlobRequests } from './front-blobs.js';
import { ManifestRequests } from './front-manifests.js';
import { Refusal } from './front-refusal.js';
import type { Answer, ScriptedRequest } from './front-request.js';
import type { ScriptedSession } from './front-session.js';
import { UploadRequests } from './front-upload-requests.js';

/** What scripted replicas share, as the replicas of Berth share a database and a storage. */
export class ScriptedRegistry {
  readonly sessions = new Map<string, ScriptedSession>();
  /** By repository and digest. */
  readonly blobs = new Map<string, Buffer>();
  readonly manifests = new Map<string, { readonly bytes: Buffer; readonly type: string }>();
  /** The digest of each tag, by repository and tag. */
  readonly tags = new Map<string, string>();
  /** Each change of what a repository has, in order. */
  readonly effects: string[] = [];
  /** What no front may ever do. */
  readonly violations: string[] = [];
  private readonly recorded = new Map<string, { readonly request: string; readonly answer: Answer }>();
  private readonly uploads: UploadRequests;
  private readonly blobRequests = new BlobRequests(this);
  private readonly manifestRequests = new ManifestRequests(this);

  constructor(checkpointBytes: number) {
    this.uploads = new UploadRequests(this, checkpointBytes);
  }

  async answer(request: ScriptedRequest): Promise<Answer> {
    const [, , name = '', kind, rest = ''] =
      /^\/(v2)\/(.+)\/(blobs\/uploads|blobs|manifests)\/(.*)$/.exec(request.path) ?? [];
    if (request.path.startsWith('/health/')) return { status: 200, body: Buffer.from('{"status":"ok"}') };
    if (kind === undefined) {
      if (request.method !== 'GET') this.effects.push(`${request.method} ${request.path}`);
      return { status: 200, body: Buffer.from('{}') };
    }
    if (kind === 'blobs/uploads') return this.uploads.answer(request, name, rest);
    return kind === 'blobs'
      ? this.blobRequests.answer(request, name, rest)
      : this.manifestRequests.answer(request, name, rest);
  }

  /**
   * Runs a change once for each Idempotency-Key. A repeat gets the recorded success. A change without a key
   * runs each time.
   */
  once(request: ScriptedRequest, body: Buffer, change: () => Answer): Answer {
    const key = request.header('idempotency-key');
    const before = key === undefined ? undefined : this.recorded.get(key);
    const { method, path, query } = request;
    const asked = [method, path, query.toString(), digestOf('sha256', body)].join(' ');
    if (before !== undefined) {
      if (before.request !== asked) throw new Refusal(422, 'UNSUPPORTED');
      return before.answer;
    }
    const answer = change();
    if (key !== undefined) this.recorded.set(key, { request: asked, answer });
    return answer;
  }

  storeBlob(repository: string, digest: string, bytes: Buffer): void {
    const key = `${repository} ${digest}`;
    if (!this.blobs.has(key)) this.effects.push(`${repository}: blob ${digest}`);
    this.blobs.set(key, bytes);
  }
}

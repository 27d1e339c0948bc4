import { digestOf } from '../../src/oci/digest.js';
import { Refusal } from './front-refusal.js';
import type { ScriptedRegistry } from './front-registry.js';
import type { Answer, ScriptedRequest } from './front-request.js';

/** Manifests of any content, and tags. */
export class ManifestRequests {
  constructor(private readonly registry: ScriptedRegistry) {}

  async answer(request: ScriptedRequest, repository: string, reference: string): Promise<Answer> {
    const body = await request.wholeBody();
    request.exchange.expectAlive();
    if (request.method === 'PUT') return this.put(request, repository, reference, body);
    if (request.method === 'DELETE') return this.delete(request, repository, reference);
    const digest = this.digestOf(repository, reference);
    const manifest = this.registry.manifests.get(`${repository} ${digest}`);
    if (manifest === undefined) throw new Refusal(404, 'MANIFEST_UNKNOWN');
    const headers = {
      'Docker-Content-Digest': digest,
      'Content-Type': manifest.type,
      'Content-Length': manifest.bytes.length,
    };
    return { status: 200, headers, ...(request.method === 'GET' && { body: manifest.bytes }) };
  }

  private put(request: ScriptedRequest, repository: string, reference: string, bytes: Buffer): Answer {
    const digest = digestOf('sha256', bytes);
    if (isDigest(reference) && reference !== digest) throw new Refusal(400, 'DIGEST_INVALID');
    return this.registry.once(request, bytes, () => {
      const type = request.header('content-type') ?? '';
      this.registry.manifests.set(`${repository} ${digest}`, { bytes, type });
      if (!isDigest(reference)) this.registry.tags.set(`${repository} ${reference}`, digest);
      this.registry.effects.push(`${repository}: ${reference} is ${digest}`);
      const headers = {
        Location: `/v2/${repository}/manifests/${digest}`,
        'Docker-Content-Digest': digest,
      };
      return { status: 201, headers };
    });
  }

  private delete(request: ScriptedRequest, repository: string, reference: string): Answer {
    return this.registry.once(request, Buffer.of(), () => {
      const names = isDigest(reference) ? this.registry.manifests : this.registry.tags;
      if (!names.delete(`${repository} ${reference}`)) throw new Refusal(404, 'MANIFEST_UNKNOWN');
      this.registry.effects.push(`${repository}: ${reference} deleted`);
      return { status: 202 };
    });
  }

  private digestOf(repository: string, reference: string): string {
    if (isDigest(reference)) return reference;
    const digest = this.registry.tags.get(`${repository} ${reference}`);
    if (digest === undefined) throw new Refusal(404, 'MANIFEST_UNKNOWN');
    return digest;
  }
}

function isDigest(reference: string): boolean {
  return reference.includes(':');
}

import { NO_REQUEST } from '../../../src/audit/audit-event.js';
import { BlobStore } from '../../../src/blobs/blob.store.js';
import type { Transaction, UnitOfWork } from '../../../src/database/unit-of-work.js';
import { ManifestStore } from '../../../src/manifests/manifest.store.js';
import { type Digest, parseDigest } from '../../../src/oci/digest.js';
import { parseManifest } from '../../../src/oci/manifest.js';
import { parseRepositoryName, type RepositoryName } from '../../../src/oci/repository-name.js';
import { newUploadId, parseUploadId } from '../../../src/oci/upload-id.js';
import { UploadCommitStore } from '../../../src/uploads/commit/upload-commit.store.js';
import { initialMidstate } from '../../../src/uploads/hash/midstate.js';
import { UploadSessionStore } from '../../../src/uploads/session/upload-session.store.js';
import { freshName } from '../../support/fresh-name.js';
import { digestOf, OCI_MANIFEST, RegistryClient } from '../../support/registry-client.js';
import type { TestBerth } from '../../support/test-berth.js';
import { claimantOf, UNKNOWN_ORIGIN } from '../../support/upload-claims.js';
import { WantedDigests } from '../../../src/uploads/wanted-digests.js';

/** A blob that two repositories link, and that no manifest needs. */
export interface UnneededBlob {
  readonly name: RepositoryName;
  readonly other: RepositoryName;
  readonly content: string;
  readonly digest: Digest;
  /** The Location of its upload to `name`. */
  readonly upload: string;
}

/** The statements of a request, in a transaction that stays open. */
export type Statements = (unitOfWork: UnitOfWork, transaction: Transaction) => Promise<unknown>;

/** Requests about a blob's link: over HTTP, and as their statements alone. */
export class LinkRequests {
  private readonly client: RegistryClient;

  constructor(private readonly berth: TestBerth) {
    this.client = new RegistryClient(berth.url);
  }

  async unneededBlob(): Promise<UnneededBlob> {
    const [name, other] = [freshName('first'), freshName('other')].map(parseRepositoryName);
    if (name === undefined || other === undefined) throw new Error('no names');
    const content = `content of ${name}`;
    const upload = await this.client.uploadLocation(name);
    const digest = parseDigest(digestOf(content));
    const committed = await this.client.commit(upload, digest, content);
    if (committed.status !== 201) throw new Error(`committing an upload: ${committed.status}`);
    await this.client.pushBlob(other, content);
    return { name, other, content, digest, upload };
  }

  push(name: string, content: string): Promise<Response> {
    const location = `/v2/${name}/blobs/uploads/?digest=${digestOf(content)}`;
    return this.client.fetch(location, { method: 'POST', body: content });
  }

  mount(digest: string, from: string, to: string): Promise<Response> {
    return this.client.fetch(`/v2/${to}/blobs/uploads/?mount=${digest}&from=${from}`, { method: 'POST' });
  }

  putImage(blob: UnneededBlob): Promise<Response> {
    return this.client.putManifest(blob.name, 'v1', imageOf(blob));
  }

  /** The digest of what `putImage` puts. */
  imageDigestOf(blob: UnneededBlob): string {
    return digestOf(imageOf(blob));
  }

  onBlob({ name, digest }: Pick<UnneededBlob, 'name' | 'digest'>, method: string): Promise<Response> {
    return this.client.fetch(`/v2/${name}/blobs/${digest}`, { method });
  }

  /** The PUT that ended the upload, after its response was lost. */
  repeatCommit({ upload, digest }: UnneededBlob): Promise<Response> {
    return this.client.commit(upload, digest);
  }

  async putStatements(blob: UnneededBlob): Promise<Statements> {
    const content = Buffer.from(imageOf(blob));
    const push = {
      repository: blob.name,
      digest: parseDigest(digestOf(content)),
      manifest: await parseManifest(content, OCI_MANIFEST),
      content,
      tags: [],
      client: UNKNOWN_ORIGIN,
      acceptsMissing: false,
      signal: AbortSignal.timeout(60_000),
    };
    return (unitOfWork) => new ManifestStore(unitOfWork).push(push);
  }

  /** A commit of content that the registry has. */
  async commitStatements({ name, digest }: Pick<UnneededBlob, 'name' | 'digest'>): Promise<Statements> {
    const { dataSource } = this.berth.database;
    const sessions = new UploadSessionStore(dataSource);
    const reference = { repository: name, id: newUploadId() };
    const progress = { offsetBytes: 7, midstates: [initialMidstate('sha256')], driverState: {} };
    await sessions.insert(reference, progress, claimantOf('a replica'));
    const lease = (await sessions.acquire(reference, claimantOf('a replica')))?.lease;
    if (lease === undefined) throw new Error('not acquired');
    const content = { repository: name, canonical: digest, digests: [digest], sizeBytes: 7 };
    const storeOf = (unitOfWork: UnitOfWork) => new UploadCommitStore(dataSource, unitOfWork);
    await this.berth.app
      .get(UploadCommitStore)
      .markCommitting(lease, progress, { digest, canonical: digest });
    return (unitOfWork) => storeOf(unitOfWork).commit(lease, content);
  }

  mountStatements(digest: Digest, source: RepositoryName, target: RepositoryName): Statements {
    const mount = { source, target, digest, origin: NO_REQUEST };
    return (unitOfWork) => this.berth.app.get(BlobStore).mount(unitOfWork, mount);
  }

  headStatements({ name, digest }: UnneededBlob): Statements {
    return (unitOfWork) => this.berth.app.get(BlobStore).renew(unitOfWork, name, digest);
  }

  deleteStatements({ name, digest }: UnneededBlob): Statements {
    return (unitOfWork) => this.berth.app.get(BlobStore).unlink(unitOfWork, name, digest, NO_REQUEST);
  }

  repeatStatements({ name, upload, digest }: UnneededBlob): Statements {
    const id = parseUploadId(new URL(upload, this.berth.url).pathname.split('/').at(-1) ?? '');
    return (_unitOfWork, manager) => {
      const sessions = new UploadSessionStore({
        manager,
      } as unknown as typeof this.berth.database.dataSource);
      return sessions.renewCommitted({ repository: name, id }, WantedDigests.of(digest));
    };
  }
}

/** An image whose config is the blob. */
function imageOf({ digest, content }: UnneededBlob): string {
  const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest, size: content.length };
  return JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [] });
}

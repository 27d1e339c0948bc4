import type { ImageManifest, SmallBlob } from './image-content.js';
import type { OwnRepository } from './own-repository.js';

/** Changes a repository, and the model of it when that is acknowledged. */
export class ImageWriter {
  constructor(private readonly own: OwnRepository) {}

  /** In one request. */
  async pushBlob(blob: SmallBlob): Promise<void> {
    const { name, requests, model } = this.own;
    const path = `/v2/${name}/blobs/uploads/?digest=${blob.digest}`;
    const headers = { 'Content-Type': 'application/octet-stream' };
    const answer = await requests.ask('POST', path, { headers, body: blob.bytes });
    if (answer.status === 201) model.putBlob(blob, answer.wasRepeated);
    else this.wrong('a blob push', answer.status, answer.body);
  }

  /** A registry may begin an upload instead: then the bytes are pushed. Returns whether it was mounted. */
  async mountBlob(blob: SmallBlob, from: string | undefined): Promise<boolean> {
    const { name, requests, model } = this.own;
    const source = from === undefined ? '' : `&from=${from}`;
    const answer = await requests.ask('POST', `/v2/${name}/blobs/uploads/?mount=${blob.digest}${source}`);
    if (answer.status === 201) {
      model.putBlob(blob, answer.wasRepeated);
      return true;
    }
    if (answer.status !== 202) this.wrong('a mount', answer.status, answer.body);
    else await requests.ask('DELETE', answer.headers.location ?? '');
    // The link may have been made all the same where the mount was repeated; it is there for certain after
    // this.
    await this.pushBlob(blob);
    if (answer.wasRepeated) model.retire(blob.digest);
    return false;
  }

  /**
   * By its digest, or by the first of its tags, with the others as `?tag=`. Returns whether it was accepted.
   */
  async pushManifest(manifest: ImageManifest, tags: readonly string[], byDigest: boolean): Promise<boolean> {
    const { name, requests, model } = this.own;
    const [reference = manifest.digest, ...others] = byDigest ? [manifest.digest, ...tags] : tags;
    const query = others.length === 0 ? '' : `?${others.map((tag) => `tag=${tag}`).join('&')}`;
    const answer = await requests.ask('PUT', `/v2/${name}/manifests/${reference}${query}`, {
      headers: { 'Content-Type': manifest.mediaType },
      body: manifest.bytes,
    });
    if (answer.status !== 201) {
      this.wrong(`a push of ${manifest.digest}`, answer.status, answer.body);
      return false;
    }
    if (answer.headers['docker-content-digest'] !== manifest.digest) {
      this.wrong('a push of a manifest named another digest', answer.status, answer.body);
    }
    model.putManifest(manifest, tags, answer.wasRepeated);
    return true;
  }

  async deleteTag(tag: string): Promise<void> {
    const answer = await this.delete(`manifests/${tag}`);
    if (this.isDone(answer, `tag ${tag}`)) this.own.model.deleteTag(tag, answer.wasRepeated);
  }

  async deleteManifest(manifest: ImageManifest): Promise<void> {
    const answer = await this.delete(`manifests/${manifest.digest}`);
    if (this.isDone(answer, `manifest ${manifest.digest}`)) {
      this.own.model.deleteManifest(manifest, answer.wasRepeated);
    }
  }

  async deleteUnusedBlob(blob: SmallBlob): Promise<void> {
    const answer = await this.delete(`blobs/${blob.digest}`);
    if (this.isDone(answer, `blob ${blob.digest}`)) this.own.model.deleteBlob(blob, answer.wasRepeated);
  }

  /** Has to be refused: a live manifest would lack it. */
  async tryToDeleteUsedBlob(blob: SmallBlob): Promise<void> {
    const { model, ledger, requests } = this.own;
    const users = model.manifestsWith(blob.digest);
    const { status, body, wasRepeated } = await this.delete(`blobs/${blob.digest}`);
    if (status === 405) {
      // What comes late is refused as well as long as these are there.
      if (wasRepeated) model.retire(...users.map(({ digest }) => digest));
      return;
    }
    if (status === 202 || status === 404) {
      ledger.wrong(
        `a blob that ${users[0]?.digest} needs was deleted: expected 405, received ${status}`,
        requests,
      );
      model.forgetBlob(blob);
      return;
    }
    this.wrong('the delete of a used blob', status, body);
  }

  private delete(path: string) {
    return this.own.requests.ask('DELETE', `/v2/${this.own.name}/${path}`);
  }

  /** 404 is right where an earlier attempt may have done it. */
  private isDone(answer: { status: number; body: Buffer; wasRepeated: boolean }, what: string): boolean {
    const { status, body, wasRepeated } = answer;
    if (status === 202 || (status === 404 && wasRepeated)) return true;
    if (status === 404) this.own.ledger.lost(`${this.own.name} ${what}`, this.own.requests);
    else this.wrong(`the delete of ${what}`, status, body);
    return false;
  }

  private wrong(what: string, status: number, body: Buffer): void {
    const { ledger, name, requests } = this.own;
    const text = body.toString('utf8').slice(0, 300);
    ledger.wrong(`${name}: ${what} was answered with ${status}: ${text}`, requests);
  }
}

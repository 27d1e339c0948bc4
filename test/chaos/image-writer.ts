import type { ImageManifest, SmallBlob } from './image-content.js';
import type { OwnRepository } from './own-repository.js';

/** Changes a repository, and its model when the change is acknowledged. */
export class ImageWriter {
  constructor(private readonly own: OwnRepository) {}

  /** In one request. */
  async pushBlob(blob: SmallBlob): Promise<void> {
    const { name, requests, model } = this.own;
    const path = `/v2/${name}/blobs/uploads/?digest=${blob.digest}`;
    const headers = { 'Content-Type': 'application/octet-stream' };
    const response = await requests.send('POST', path, { headers, body: blob.bytes });
    if (response.status === 201) model.putBlob(blob, response.wasRepeated);
    else this.wrong('a blob push', response.status, response.body);
  }

  /** Returns whether the blob was mounted. If the registry starts an upload instead, pushes the bytes. */
  async mountBlob(blob: SmallBlob, from: string | undefined): Promise<boolean> {
    const { name, requests, model } = this.own;
    const source = from === undefined ? '' : `&from=${from}`;
    const response = await requests.send('POST', `/v2/${name}/blobs/uploads/?mount=${blob.digest}${source}`);
    if (response.status === 201) {
      model.putBlob(blob, response.wasRepeated);
      return true;
    }
    if (response.status !== 202) this.wrong('a mount', response.status, response.body);
    else await requests.send('DELETE', response.headers.location ?? '');
    // If the mount was repeated, an earlier attempt may have linked the blob. After this push it is linked.
    await this.pushBlob(blob);
    if (response.wasRepeated) model.retire(blob.digest);
    return false;
  }

  /** By its digest or its first tag, with the other tags as `?tag=`. Returns whether it was accepted. */
  async pushManifest(manifest: ImageManifest, tags: readonly string[], byDigest: boolean): Promise<boolean> {
    const { name, requests, model } = this.own;
    const [reference = manifest.digest, ...others] = byDigest ? [manifest.digest, ...tags] : tags;
    const query = others.length === 0 ? '' : `?${others.map((tag) => `tag=${tag}`).join('&')}`;
    const response = await requests.send('PUT', `/v2/${name}/manifests/${reference}${query}`, {
      headers: { 'Content-Type': manifest.mediaType },
      body: manifest.bytes,
    });
    if (response.status !== 201) {
      this.wrong(`a push of ${manifest.digest}`, response.status, response.body);
      return false;
    }
    if (response.headers['docker-content-digest'] !== manifest.digest) {
      this.wrong('the response to a push names another digest', response.status, response.body);
    }
    model.putManifest(manifest, tags, response.wasRepeated);
    return true;
  }

  async deleteTag(tag: string): Promise<void> {
    const response = await this.delete(`manifests/${tag}`);
    if (this.isDone(response, `tag ${tag}`)) this.own.model.deleteTag(tag, response.wasRepeated);
  }

  async deleteManifest(manifest: ImageManifest): Promise<void> {
    const response = await this.delete(`manifests/${manifest.digest}`);
    if (this.isDone(response, `manifest ${manifest.digest}`)) {
      this.own.model.deleteManifest(manifest, response.wasRepeated);
    }
  }

  async deleteUnusedBlob(blob: SmallBlob): Promise<void> {
    const response = await this.delete(`blobs/${blob.digest}`);
    if (this.isDone(response, `blob ${blob.digest}`)) this.own.model.deleteBlob(blob, response.wasRepeated);
  }

  /** Must be refused, because a live manifest needs the blob. */
  async tryToDeleteUsedBlob(blob: SmallBlob): Promise<void> {
    const { model, results, requests } = this.own;
    const users = model.manifestsWith(blob.digest);
    const { status, body, wasRepeated } = await this.delete(`blobs/${blob.digest}`);
    if (status === 405) {
      // A late attempt must be refused, too: keep these manifests.
      if (wasRepeated) model.retire(...users.map(({ digest }) => digest));
      return;
    }
    if (status === 202 || status === 404) {
      results.wrong(
        `a blob that ${users[0]?.digest} needs was deleted: expected 405, received ${status}`,
        requests,
      );
      model.forgetBlob(blob);
      return;
    }
    this.wrong('the deletion of a used blob', status, body);
  }

  private delete(path: string) {
    return this.own.requests.send('DELETE', `/v2/${this.own.name}/${path}`);
  }

  /** 404 is correct if an earlier attempt may have deleted it. */
  private isDone(response: { status: number; body: Buffer; wasRepeated: boolean }, what: string): boolean {
    const { status, body, wasRepeated } = response;
    if (status === 202 || (status === 404 && wasRepeated)) return true;
    if (status === 404) this.own.results.lost(`${this.own.name} ${what}`, this.own.requests);
    else this.wrong(`the deletion of ${what}`, status, body);
    return false;
  }

  private wrong(what: string, status: number, body: Buffer): void {
    const { results, name, requests } = this.own;
    const text = body.toString('utf8').slice(0, 300);
    results.wrong(`${name}: ${what} returned ${status}: ${text}`, requests);
  }
}

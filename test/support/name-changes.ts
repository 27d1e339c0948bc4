import { freshName } from './fresh-name.js';
import { digestOf, OCI_MANIFEST, type RegistryClient } from './registry-client.js';

/** A request that changes names, which may have an `Idempotency-Key`. */
export interface NameChange {
  readonly repository: string;
  readonly method: string;
  readonly path: string;
  readonly body?: string;
  readonly status: number;
  /** What another client does later, which a repeat would undo. */
  readonly later: readonly { readonly method: string; readonly path: string; readonly body?: string }[];
}

/** Prepares a request on a repository of its own. */
export type PrepareChange = (client: RegistryClient) => Promise<NameChange>;

const withSubject = { subject: { mediaType: OCI_MANIFEST, digest: digestOf('a subject'), size: 9 } };

async function preparedImages(client: RegistryClient) {
  const repository = freshName();
  const of = async (version: string, extra = {}) =>
    JSON.stringify(await client.makeImage(repository, [], { annotations: { version }, ...extra }));
  const [first, second, referrer] = await Promise.all([of('1'), of('2'), of('3', withSubject)]);
  return { repository, first, second, referrer, manifests: `/v2/${repository}/manifests` };
}

async function expectPushed(client: RegistryClient, path: string, body: string): Promise<void> {
  const { status } = await sendChange(client, { method: 'PUT', path, body });
  if (status !== 201) throw new Error(`pushing a manifest: ${status}`);
}

/** Each kind of request that an `Idempotency-Key` is for. */
export const NAME_CHANGES: Readonly<Record<string, PrepareChange>> = {
  'PUT of a new tag': async (client) => {
    const { repository, first, second, manifests } = await preparedImages(client);
    const path = `${manifests}/latest`;
    const later = [{ method: 'PUT', path, body: second }];
    return { repository, method: 'PUT', path, body: first, status: 201, later };
  },
  'PUT of a tag that moves': async (client) => {
    const { repository, first, second, manifests } = await preparedImages(client);
    const path = `${manifests}/latest`;
    await expectPushed(client, path, second);
    const later = [{ method: 'PUT', path, body: second }];
    return { repository, method: 'PUT', path, body: first, status: 201, later };
  },
  'PUT of a digest with tags': async (client) => {
    const { repository, referrer, second, manifests } = await preparedImages(client);
    const later = [
      { method: 'PUT', path: `${manifests}/a`, body: second },
      { method: 'DELETE', path: `${manifests}/b` },
    ];
    const path = `${manifests}/${digestOf(referrer)}?tag=a&tag=b`;
    return { repository, method: 'PUT', path, body: referrer, status: 201, later };
  },
  'PUT of a manifest that is deleted later': async (client) => {
    const { repository, first, manifests } = await preparedImages(client);
    const later = [{ method: 'DELETE', path: `${manifests}/${digestOf(first)}` }];
    return { repository, method: 'PUT', path: `${manifests}/latest`, body: first, status: 201, later };
  },
  'DELETE of a tag': async (client) => {
    const { repository, first, second, manifests } = await preparedImages(client);
    const path = `${manifests}/latest`;
    await expectPushed(client, path, first);
    return {
      repository,
      method: 'DELETE',
      path,
      status: 202,
      later: [{ method: 'PUT', path, body: second }],
    };
  },
  'DELETE of a manifest': async (client) => {
    const { repository, first, manifests } = await preparedImages(client);
    await expectPushed(client, `${manifests}/latest`, first);
    const later = [{ method: 'PUT', path: `${manifests}/latest`, body: first }];
    return { repository, method: 'DELETE', path: `${manifests}/${digestOf(first)}`, status: 202, later };
  },
  'DELETE of a blob': async (client) => {
    const repository = freshName();
    const digest = await client.pushBlob(repository, 'pushed twice');
    const path = `/v2/${repository}/blobs/${digest}`;
    const push = `/v2/${repository}/blobs/uploads/?digest=${digest}`;
    const later = [{ method: 'POST', path: push, body: 'pushed twice' }];
    return { repository, method: 'DELETE', path, status: 202, later };
  },
  'mount from a repository': async (client) => {
    const [repository, source] = [freshName(), freshName('source')];
    const digest = await client.pushBlob(source, `mounted from ${source}`);
    const later = [
      { method: 'DELETE', path: `/v2/${repository}/blobs/${digest}` },
      { method: 'DELETE', path: `/v2/${source}/blobs/${digest}` },
    ];
    const path = `/v2/${repository}/blobs/uploads/?mount=${digest}&from=${source}`;
    return { repository, method: 'POST', path, status: 201, later };
  },
  'mount from any repository': async (client) => {
    const [repository, source] = [freshName(), freshName('source')];
    const digest = await client.pushBlob(source, `mounted from any, in ${source}`);
    const path = `/v2/${repository}/blobs/uploads/?mount=${digest}`;
    const later = [{ method: 'DELETE', path: `/v2/${repository}/blobs/${digest}` }];
    return { repository, method: 'POST', path, status: 201, later };
  },
};

export function sendChange(
  client: RegistryClient,
  { method, path, body }: Pick<NameChange, 'method' | 'path' | 'body'>,
  idempotencyKey?: string,
): Promise<Response> {
  const headers = new Headers();
  if (method === 'PUT') headers.set('Content-Type', OCI_MANIFEST);
  if (idempotencyKey !== undefined) headers.set('Idempotency-Key', idempotencyKey);
  return client.fetch(path, { method, headers, ...(body !== undefined && { body }) });
}

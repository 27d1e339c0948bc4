import { randomBytes } from 'node:crypto';
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectsCommand,
  paginateListObjectsV2,
  S3Client,
} from '@aws-sdk/client-s3';

/** Berth's own object, without which it stops. */
const KEPT = 'berth-identity';

/** An object store that an operator has started. */
export interface S3Store {
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
}

/** The store at an endpoint, with the keys in the environment, as the AWS tools have them. @throws Error */
export function s3Store(endpoint: string, env: NodeJS.ProcessEnv = process.env): S3Store {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = env;
  if (!URL.canParse(endpoint)) throw new Error(`--s3 must be a URL, and not ${endpoint}`);
  if (accessKeyId === undefined || secretAccessKey === undefined)
    throw new Error('--s3 needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment');
  return { endpoint, accessKeyId, secretAccessKey, region: env['AWS_REGION'] ?? 'us-east-1' };
}

/** A new bucket for one server. */
export class S3Bucket {
  private constructor(
    readonly store: S3Store,
    readonly name: string,
    private readonly client: S3Client,
  ) {}

  static async create(store: S3Store): Promise<S3Bucket> {
    process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
    const { endpoint, region, accessKeyId, secretAccessKey } = store;
    const credentials = { accessKeyId, secretAccessKey };
    const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true });
    const name = `berth-bench-${randomBytes(8).toString('hex')}`;
    await client.send(new CreateBucketCommand({ Bucket: name }));
    return new S3Bucket(store, name, client);
  }

  /** Deletes what a round has pushed: the store of a test machine holds few of them. */
  async empty(): Promise<void> {
    await this.deleteObjects((key) => key !== KEPT);
  }

  async remove(): Promise<void> {
    await this.deleteObjects(() => true);
    // It stays if an upload is unfinished.
    await this.client.send(new DeleteBucketCommand({ Bucket: this.name })).catch(() => undefined);
    this.client.destroy();
  }

  private async deleteObjects(isGarbage: (key: string) => boolean): Promise<void> {
    const Bucket = this.name;
    for await (const { Contents } of paginateListObjectsV2({ client: this.client }, { Bucket })) {
      const Objects = (Contents ?? []).flatMap(({ Key }) =>
        Key !== undefined && isGarbage(Key) ? [{ Key }] : [],
      );
      if (Objects.length > 0)
        await this.client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }));
    }
  }
}

/** Berth's settings for a bucket. */
export function berthStorage({ name, store }: S3Bucket): Record<string, string> {
  return {
    STORAGE_DRIVER: 's3',
    STORAGE_S3_BUCKET: name,
    STORAGE_S3_REGION: store.region,
    STORAGE_S3_ENDPOINT: store.endpoint,
    STORAGE_S3_ACCESS_KEY_ID: store.accessKeyId,
    STORAGE_S3_SECRET_ACCESS_KEY: store.secretAccessKey,
  };
}

/** The peer's settings for a bucket, a line of its file. */
export function peerStorage({ name, store }: S3Bucket): string {
  const settings = {
    bucket: name,
    region: store.region,
    regionendpoint: store.endpoint,
    forcepathstyle: true,
    secure: store.endpoint.startsWith('https:'),
    accesskey: store.accessKeyId,
    secretkey: store.secretAccessKey,
  };
  // JSON is YAML.
  return `s3: ${JSON.stringify(settings)}`;
}

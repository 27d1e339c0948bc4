import { createHash } from 'node:crypto';
import { MANIFEST_TYPE } from '../load/jobs.js';
import { HOST } from '../load/connection.js';
import { BerthServer } from '../servers/berth.server.js';

const REPOSITORY = 'bench/access';
const PATH = `/v2/${REPOSITORY}/manifests/small`;
const PASSWORD = 'a password of the benchmark';
const BASIC = `Basic ${Buffer.from(`admin:${PASSWORD}`).toString('base64')}`;
const CONFIG = '{}';

/** A Berth in one of the access modes, with one small manifest. */
export class AccessServer {
  readonly path = PATH;
  private readonly server: BerthServer;

  constructor(
    main: string,
    directory: string,
    readonly port: number,
    workers: string,
    mode: 'open' | 'token',
  ) {
    this.server = new BerthServer(main, directory, port, workers, {
      ACCESS_MODE: mode,
      ADMIN_PASSWORD: PASSWORD,
    });
  }

  /** Starts it and pushes the manifest. Returns the manifest's length. */
  async start(): Promise<number> {
    await this.server.start();
    const digest = `sha256:${createHash('sha256').update(CONFIG).digest('hex')}`;
    await this.push(`/v2/${REPOSITORY}/blobs/uploads/?digest=${digest}`, 'POST', CONFIG);
    const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest, size: CONFIG.length };
    const manifest = JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST_TYPE, config, layers: [] });
    await this.push(PATH, 'PUT', manifest);
    return manifest.length;
  }

  stop(): Promise<void> {
    return this.server.stop();
  }

  /** The `Authorization` of each way to send credentials. */
  async authorizations(): Promise<Record<'Bearer' | 'Basic', string>> {
    const path = `/auth/token?scope=repository:${REPOSITORY}:pull`;
    const response = await this.fetch(path, { headers: { Authorization: BASIC } });
    const { token } = (await response.json()) as { token: string };
    return { Bearer: `Bearer ${token}`, Basic: BASIC };
  }

  private async push(path: string, method: string, body: string): Promise<void> {
    const headers = { Authorization: BASIC, 'Content-Type': MANIFEST_TYPE };
    const response = await this.fetch(path, { method, body, headers });
    if (response.status !== 201) throw new Error(`${method} ${path}: ${response.status}`);
  }

  private fetch(path: string, init: RequestInit): Promise<Response> {
    return fetch(`http://${HOST}:${this.port}${path}`, init);
  }
}

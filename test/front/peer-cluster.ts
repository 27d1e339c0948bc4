import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../support/process-bench.js';
import type { PushTarget } from './registry-cluster.js';
import { SupervisedServer } from './supervised-server.js';

const REPLICAS = 2;
const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];

/** Two replicas of distribution, which share a directory, behind nginx. */
export class PeerCluster implements PushTarget {
  readonly replicas: SupervisedServer[] = [];
  private nginx: SupervisedServer | undefined;

  private constructor(private readonly directory: string) {}

  /**
   * Starts it with all its files in a directory.
   *
   * @param buffersRequests whether nginx collects a request before it passes it on
   */
  static async start(directory: string, buffersRequests: boolean): Promise<PeerCluster> {
    await mkdir(directory, { recursive: true });
    const cluster = new PeerCluster(directory);
    try {
      for (let index = 0; index < REPLICAS; index += 1)
        cluster.replicas.push(await cluster.startReplica(index));
      cluster.nginx = await cluster.startNginx(buffersRequests);
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  get url(): URL {
    return new URL(this.nginx?.url ?? '');
  }

  restartPostgres(): Promise<unknown> {
    throw new Error('distribution has no database');
  }

  async stop(): Promise<void> {
    await Promise.all(this.replicas.map((server) => server.stop()));
    await this.nginx?.stop();
    await rm(this.directory, { recursive: true, force: true });
  }

  private async startReplica(index: number): Promise<SupervisedServer> {
    const [port, directory] = [await freePort(), join(this.directory, `replica-${index}`)];
    await mkdir(directory);
    const file = join(directory, 'config.yml');
    const configuration = [
      'version: 0.1',
      'log: {level: error, accesslog: {disabled: true}}',
      `storage: {filesystem: {rootdirectory: ${JSON.stringify(join(this.directory, 'storage'))}}}`,
      // Replicas continue the sessions of each other only with the same secret.
      `http: {addr: "127.0.0.1:${port}", secret: shared}`,
    ];
    await writeFile(file, `${configuration.join('\n')}\n`);
    const command = ['docker-registry', 'serve', file];
    return this.startServer(command, port, directory);
  }

  private async startNginx(buffersRequests: boolean): Promise<SupervisedServer> {
    const [port, directory] = [await freePort(), join(this.directory, 'nginx')];
    await mkdir(directory);
    const file = join(directory, 'nginx.conf');
    await writeFile(file, this.nginxConfiguration(directory, port, buffersRequests));
    return this.startServer(['nginx', '-p', directory, '-c', file, '-e', 'stderr'], port, directory);
  }

  private startServer(command: string[], port: number, directory: string): Promise<SupervisedServer> {
    const environment = { PATH: process.env['PATH'] ?? '' };
    return SupervisedServer.start({ command, environment, url: `http://127.0.0.1:${port}`, directory });
  }

  /** As distribution's documentation has it, with two replicas. */
  private nginxConfiguration(directory: string, port: number, buffersRequests: boolean): string {
    return `
      ${process.getuid?.() === 0 ? 'user root;' : ''}
      daemon off;
      pid ${directory}/nginx.pid;
      worker_processes 1;
      events {}
      http {
        access_log off;
        ${TEMPORARY.map((name) => `${name}_temp_path ${directory}/${name};`).join('\n')}
        upstream registry {
          ${this.replicas.map(({ url }) => `server ${new URL(url).host};`).join('\n')}
        }
        server {
          listen 127.0.0.1:${port};
          client_max_body_size 0;
          chunked_transfer_encoding on;
          location /v2/ {
            proxy_pass http://registry;
            proxy_http_version 1.1;
            proxy_request_buffering ${buffersRequests ? 'on' : 'off'};
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_read_timeout 900;
          }
        }
      }`;
  }
}

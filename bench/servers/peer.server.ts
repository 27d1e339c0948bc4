import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { HOST } from '../load/connection.js';
import type { KeyPairFiles } from './key-pair.js';
import { ServerProcess } from './server-process.js';
import { SingleServer } from './single-server.js';

/** The peer's program. */
export interface PeerProgram {
  readonly path: string;
  /** Name and version, for the report. */
  readonly name: string;
}

/** Asks a program for its version. Returns undefined if it is not installed. */
export async function findPeer(path: string): Promise<PeerProgram | undefined> {
  try {
    const { stdout } = await promisify(execFile)(path, ['--version']);
    // `docker-registry github.com/docker/distribution 2.8.2+ds1`, `registry
    // github.com/distribution/distribution/v3 v3.1.0`
    // `…/v3 v3.1.1+unknown` if it was built outside its repository.
    const version = stdout.trim().split(/\s+/).at(-1) ?? '';
    return { path, name: `distribution ${version.replace(/^v|\+unknown$/g, '')}` };
  } catch {
    return undefined;
  }
}

export interface PeerSettings {
  /** For https. */
  readonly pair?: KeyPairFiles | undefined;
  readonly env?: Readonly<Record<string, string>>;
  /** A line of its file, instead of the file system driver. */
  readonly storage?: string | undefined;
}

/** The Go registry with the file system driver, configured as its packages do, without access log. */
export class PeerServer extends SingleServer {
  readonly name: string;

  constructor(
    private readonly program: PeerProgram,
    readonly directory: string,
    readonly port: number,
    private readonly settings: PeerSettings = {},
  ) {
    super();
    this.name = program.name;
  }

  /** Directory of its objects and links. */
  static storageOf(directory: string): string {
    return join(directory, 'storage');
  }

  protected async launch(): Promise<ServerProcess> {
    const file = join(this.directory, 'config.yml');
    await writeFile(file, this.configuration());
    return ServerProcess.start([this.program.path, 'serve', file], {
      cwd: this.directory,
      log: join(this.directory, 'log'),
      // Version 3 sends traces otherwise.
      env: { PATH: process.env['PATH'] ?? '', OTEL_TRACES_EXPORTER: 'none', ...this.settings.env },
    });
  }

  /** With the cache of descriptors in memory, as in its packages' file: that is faster. */
  private configuration(): string {
    const { pair } = this.settings;
    const tls = pair
      ? `, tls: {certificate: ${JSON.stringify(pair.cert)}, key: ${JSON.stringify(pair.key)}}`
      : '';
    return [
      'version: 0.1',
      'log: {level: error, accesslog: {disabled: true}}',
      'storage:',
      '  cache: {blobdescriptor: inmemory}',
      `  ${this.settings.storage ?? this.fileSystem()}`,
      '  delete: {enabled: true}',
      `http: {addr: "${HOST}:${this.port}"${tls}}`,
      '',
    ].join('\n');
  }

  private fileSystem(): string {
    return `filesystem: {rootdirectory: ${JSON.stringify(PeerServer.storageOf(this.directory))}}`;
  }
}

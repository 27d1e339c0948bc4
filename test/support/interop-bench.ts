import { mkdir, writeFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { CA_FILE, type ClientCommands } from './access-tour.js';
import { findProgram, type Output, ToolHome } from './registry-tool.js';
import { makeOciLayout, type OciLayout } from './oci-layout.js';
import { digestOf, OCI_INDEX, OCI_MANIFEST } from './registry-client.js';
import { OwnBerth } from './running-berth.js';

const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
const ACCEPT = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST].join(', ');

/** What a registry serves for a reference. */
export interface Served {
  readonly mediaType: string | null;
  /** The digest of the received bytes, not the one that the registry names. */
  readonly digest: string;
  readonly manifest: {
    readonly manifests?: readonly { digest: string; platform?: { architecture: string } }[];
    readonly layers?: readonly { digest: string }[];
  };
}

/** With a HOST for all addresses, one that other machines would use. */
function addressOf(berth: OwnBerth): URL {
  const url = new URL(berth.url);
  if (url.hostname === '0.0.0.0') url.hostname = networkAddress();
  return url;
}

/** An address of this machine that is not its own alone, if it has one. */
export function networkAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const found = addresses.find(({ family, internal }) => family === 'IPv4' && !internal);
  return found?.address ?? '127.0.0.1';
}

/** A registry, images to push to it, and a home for the client that does. */
export class InteropBench {
  private constructor(
    readonly berth: OwnBerth,
    readonly home: ToolHome,
    readonly layout: OciLayout,
    /** Where clients reach the registry. */
    readonly url: URL,
  ) {}

  /** @param reach where clients reach it, for example behind a proxy that this starts. */
  static async open(
    settings: Record<string, string> = {},
    reach: (berth: OwnBerth) => Promise<URL> | URL = addressOf,
  ): Promise<InteropBench> {
    const berth = await OwnBerth.start(settings);
    const url = await reach(berth);
    const home = await ToolHome.create(url);
    const layout = await makeOciLayout(home.file('layout'), findProgram('busybox') ?? process.execPath);
    return new InteropBench(berth, home, layout, url);
  }

  /** `host:port`, the first part of every image's name. */
  get registry(): string {
    return this.url.host;
  }

  run(program: string, ...args: string[]): Promise<Output> {
    return this.home.run(program, args);
  }

  /** Puts the certificate of the registry's authority where clients look for it. */
  async trust(authority: string): Promise<void> {
    const directory = this.home.file(`.config/containers/certs.d/${this.registry}`);
    await mkdir(directory, { recursive: true });
    for (const file of [join(directory, 'ca.crt'), this.home.file(CA_FILE)]) await writeFile(file, authority);
  }

  /** Runs a line of a shell for a client, and returns all that it printed. */
  async type(line: string, { trust }: Pick<ClientCommands, 'trust'>, input = ''): Promise<string> {
    const isTls = this.url.protocol === 'https:';
    const environment: Record<string, string> =
      isTls && trust === 'SSL_CERT_FILE' ? { SSL_CERT_FILE: this.home.file(CA_FILE) } : {};
    const { stdout, stderr } = await this.home.run('sh', ['-ec', line], environment, input);
    return stdout + stderr;
  }

  /** @param reference `name:tag`, or `name@digest` */
  async served(reference: string): Promise<Served> {
    const [, name = '', which = ''] = /^(.+?)[:@](.+)$/.exec(reference) ?? [];
    const url = new URL(`/v2/${name}/manifests/${which}`, this.berth.url);
    const response = await fetch(url, { headers: { Accept: ACCEPT } });
    if (response.status !== 200) throw new Error(`${reference}: ${response.status}`);
    const text = await response.text();
    const manifest = JSON.parse(text) as Served['manifest'];
    return { mediaType: response.headers.get('content-type'), digest: digestOf(text), manifest };
  }

  /** Pushes the test's index, with the image in it, as `name:v1` for other clients to pull. */
  async push(name: string): Promise<void> {
    const target = `docker://${this.registry}/${name}:v1`;
    await this.run(
      'skopeo',
      'copy',
      '--all',
      '--dest-tls-verify=false',
      `oci:${this.layout.directory}:index`,
      target,
    );
  }

  /** Returns how many uploads were ever started. A mount starts none. */
  async uploadsBegun(): Promise<number> {
    const sql = 'SELECT count(*)::int AS begun FROM uploads';
    const [row] = await this.berth.query<{ begun: number }>(sql);
    return row?.begun ?? 0;
  }

  async dispose(): Promise<void> {
    await this.berth.dispose();
    await this.home.dispose();
  }
}

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createAuthority, issueCertificate } from '../../src/tls/certificate-authority.js';
import { networkAddress } from './interop-bench.js';
import { runDirectory } from './once-per-run.js';
import { freePort, isListening } from './process-bench.js';
import { until } from './until.js';

/** Where a proxy of a test listens, and its files. */
export interface ProxySite {
  readonly directory: string;
  /** An https address of this machine on its network. */
  readonly url: URL;
  /** The authority of `registry.crt` in the directory, which has `registry.key`, too. */
  readonly authority: string;
}

/** A proxy with the configuration of a page of the documentation. */
export class DocumentedProxy {
  private constructor(
    private readonly site: ProxySite,
    private readonly child: ChildProcess,
  ) {}

  /** @param command of a site whose configuration is written; it must not end before it is stopped. */
  static async run(
    site: ProxySite,
    command: readonly [program: string, ...parameters: string[]],
    environment: Record<string, string> = {},
  ): Promise<DocumentedProxy> {
    const [program, ...parameters] = command;
    const env = { ...process.env, ...environment };
    const child = spawn(program, parameters, { stdio: ['ignore', 'ignore', 'inherit'], env });
    // The run's clean-up ends what has such a file.
    await writeFile(join(runDirectory(), `${child.pid}.pid`), String(child.pid));
    await until(program, () => isListening(site.url.origin));
    return new DocumentedProxy(site, child);
  }

  get url(): URL {
    return this.site.url;
  }

  /** The certificate of the authority that its own one is of. */
  get authority(): string {
    return this.site.authority;
  }

  async stop(): Promise<void> {
    this.child.kill('SIGTERM');
    if (this.child.exitCode === null) await once(this.child, 'exit');
  }
}

/** Makes a directory with a certificate, for a free port. */
export async function newProxySite(): Promise<ProxySite> {
  const directory = await mkdtemp(join(runDirectory(), 'proxy-'));
  const address = networkAddress();
  const url = new URL(`https://${address}:${await freePort(address)}`);
  const authority = await createAuthority(new Date());
  const { cert, key } = await issueCertificate(authority, [address], new Date());
  await writeFile(join(directory, 'registry.crt'), cert);
  await writeFile(join(directory, 'registry.key'), key);
  return { directory, url, authority: authority.cert };
}

/** The first block of code in this language. @throws if the page has none */
export async function documentedBlock(page: string, language: string): Promise<string> {
  const block = new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'ms').exec(await readFile(page, 'utf8'))?.[1];
  if (block === undefined) throw new Error(`${page} has no ${language}`);
  return block;
}

/** @throws unless the text has each of them */
export function replaceEach(text: string, replacements: readonly (readonly [string, string])[]): string {
  return replacements.reduce((result, [from, to]) => {
    if (!result.includes(from)) throw new Error(`the configuration lacks "${from}"`);
    return result.replaceAll(from, to);
  }, text);
}

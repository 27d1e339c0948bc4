import { rm } from 'node:fs/promises';
import { allGroups } from '../cases/all-groups.js';
import type { CaseGroup, CaseInfo, Target } from '../cases/bench-case.js';
import { FULL, QUICK, type Sizes } from '../cases/sizes.js';
import { generatorLimits } from '../limits/generator-limits.js';
import type { Limit, LimitResult } from '../limits/limit.js';
import { physicalLimits } from '../limits/physical-limits.js';
import { LoadGenerator } from '../load/load-generator.js';
import type { Options } from '../options.js';
import type { CaseResult } from '../report/results.js';
import { BerthServer } from '../servers/berth.server.js';
import { freePort } from '../servers/free-port.js';
import { PeerServer, type PeerProgram } from '../servers/peer.server.js';
import { newKeyPair, type KeyPairFiles } from '../servers/key-pair.js';
import type { RegistryServer } from '../servers/registry-server.js';
import { berthStorage, peerStorage, S3Bucket } from '../servers/s3-bucket.js';
import { WITHOUT_SHA } from '../servers/without-sha.js';
import type { Workspace } from './workspace.js';
import { openAll, runCase } from './run-group.js';

/** A group with its selected cases. */
interface Selection {
  readonly group: CaseGroup;
  readonly cases: readonly CaseInfo[];
}

/** The cases and limits that a run with these options measures. */
export function namesOf(options: Options): string[] {
  const cases = selectedGroups(options).flatMap((selection) => selection.cases);
  return [...cases, ...selectedLimits(options)].map(({ name }) => name);
}

function selectedLimits(options: Options): Limit[] {
  const { only, tls, s3 } = options;
  if (tls || s3) return [];
  const sizes = sizesOf(options);
  return [...physicalLimits(sizes), ...generatorLimits(sizes)].filter(({ name }) => only.test(name));
}

function selectedGroups(options: Options): Selection[] {
  const { only, s3 } = options;
  const isMeasured = ({ name, isPush }: CaseInfo): boolean => only.test(name) && (isPush ?? s3 === undefined);
  return allGroups(sizesOf(options))
    .map((group) => ({ group, cases: group.cases.filter(isMeasured) }))
    .filter(({ cases }) => cases.length > 0);
}

function sizesOf({ quick, s3 }: Options): Sizes {
  const sizes = quick ? QUICK : FULL;
  // What a round has pushed fits into the memory of a small store.
  return s3 ? { ...sizes, largePushesPerRound: 1 } : sizes;
}

/** Runs the groups one after the other, each with its own servers and directories. */
export class Benchmark {
  private readonly generator: LoadGenerator;

  constructor(
    private readonly workspace: Workspace,
    private readonly options: Options,
    private readonly main: string,
    private readonly peer: PeerProgram | undefined,
    private readonly progress: (line: string) => void,
  ) {
    const generator = LoadGenerator.start();
    workspace.add(() => generator.stop());
    this.generator = generator;
  }

  async run(): Promise<{ cases: CaseResult[]; limits: LimitResult[] }> {
    const selections = selectedGroups(this.options);
    const cases: CaseResult[] = [];
    // Creating databases takes most of a quick run's time, so its groups share one.
    const shares = this.options.quick ? [selections] : selections.map((selection) => [selection]);
    for (const share of shares) cases.push(...(await this.runOnFreshServers(share)));
    return { cases, limits: await this.runLimits() };
  }

  private async runLimits(): Promise<LimitResult[]> {
    const { workspace, generator } = this;
    const { rounds, seconds, withoutSha } = this.options;
    const env = withoutSha ? WITHOUT_SHA.berth : {};
    const context = { workspace, generator, sizes: sizesOf(this.options), env, rounds, seconds };
    const results: LimitResult[] = [];
    for (const limit of selectedLimits(this.options)) {
      const { name, unit } = limit;
      this.progress(name);
      const figure = await limit.measure(context);
      if (figure) results.push({ name, unit, ...figure });
    }
    return results;
  }

  private async runOnFreshServers(selections: readonly Selection[]): Promise<CaseResult[]> {
    if (selections.length === 0) return [];
    const servers = await this.startServers();
    try {
      const targets = servers.map(({ target }) => target);
      const results: CaseResult[] = [];
      for (const selection of selections) results.push(...(await this.runGroup(selection, targets)));
      return results;
    } finally {
      for (const { end } of servers) await end();
    }
  }

  private async runGroup({ group, cases }: Selection, targets: readonly Target[]): Promise<CaseResult[]> {
    this.progress(`preparing ${group.name}`);
    const contestants = await openAll(group, targets);
    const results: CaseResult[] = [];
    for (const info of cases) {
      this.progress(info.name);
      results.push(await runCase(info, contestants, this.options));
    }
    return results;
  }

  private async startServers(): Promise<{ target: Target; end: () => Promise<void> }[]> {
    const pair = this.options.tls ? await newKeyPair(await this.workspace.newDirectory('tls')) : undefined;
    const started = [await this.startServer('berth', (...where) => this.newBerth(pair, ...where))];
    const { peer } = this;
    if (peer) started.push(await this.startServer('peer', (...where) => this.newPeer(peer, pair, ...where)));
    return started;
  }

  private async startServer(
    kind: Target['kind'],
    make: (directory: string, port: number, bucket: S3Bucket | undefined) => RegistryServer,
  ): Promise<{ target: Target; end: () => Promise<void> }> {
    const directory = await this.workspace.newDirectory(kind);
    const { s3 } = this.options;
    const bucket = s3 && (await S3Bucket.create(s3));
    const server = make(directory, await freePort(), bucket);
    const end = this.workspace.add(async () => {
      await server.stop();
      await bucket?.remove();
      await rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    });
    await server.start();
    const { generator } = this;
    return { target: { kind, server, generator, sizes: sizesOf(this.options), bucket }, end };
  }

  private newBerth(
    pair: KeyPairFiles | undefined,
    directory: string,
    port: number,
    bucket: S3Bucket | undefined,
  ): BerthServer {
    const { workers, withoutSha } = this.options;
    const settings = {
      ...(pair && { TLS: 'files', TLS_CERT_FILE: pair.cert, TLS_KEY_FILE: pair.key }),
      ...(withoutSha && WITHOUT_SHA.berth),
      ...(bucket && berthStorage(bucket)),
    };
    return new BerthServer(this.main, directory, port, workers, settings);
  }

  private newPeer(
    program: PeerProgram,
    pair: KeyPairFiles | undefined,
    directory: string,
    port: number,
    bucket: S3Bucket | undefined,
  ): PeerServer {
    const env = this.options.withoutSha ? WITHOUT_SHA.peer : {};
    return new PeerServer(program, directory, port, { pair, env, storage: bucket && peerStorage(bucket) });
  }
}

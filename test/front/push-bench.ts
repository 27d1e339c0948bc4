import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runDirectory } from '../support/once-per-run.js';
import { ToolHome } from '../support/registry-tool.js';
import { SlowLink } from '../support/slow-link.js';
import { type BigImage, makeBigImage } from './big-image.js';
import { ContainerDaemons } from './container-daemons.js';
import { FaultWatch } from './fault-watch.js';
import { type FaultName, INJECTORS } from './faults.js';
import { type ClientName, PUSH_CLIENTS } from './push-clients.js';
import type { PushTarget } from './registry-cluster.js';
import type { FrontSettings } from './settings.js';

/** A push that takes longer hangs. */
const COMMAND_TIMEOUT_MS = 1_200_000;
/** Faults begin when the client has sent this part of the layer. */
const FIRST_FAULT_AT = 0.05;

/** How a push ended. */
export interface PushResult {
  readonly client: ClientName;
  readonly fault: FaultName;
  /** What the client printed, or why it failed. */
  readonly output: string;
  /** Whether the client ended with 0. */
  readonly succeeded: boolean;
  readonly seconds: number;
  /** The faults injected, and those of them that hit the transfer. */
  readonly injected: number;
  readonly hits: number;
  /** What the client sent in all. */
  readonly sentBytes: number;
}

/** An image, and clients that push it to one registry after another, through a slow link that counts. */
export class PushBench {
  private directories = 0;
  private readonly prepared = new Map<ClientName, Promise<unknown>>();

  private constructor(
    private readonly directory: string,
    private readonly settings: FrontSettings,
    readonly image: BigImage,
    private readonly home: ToolHome,
    private readonly daemons: ContainerDaemons,
  ) {}

  static async open(settings: FrontSettings): Promise<PushBench> {
    const directory = await mkdtemp(join(runDirectory(), 'front-'));
    const image = await makeBigImage(join(directory, 'image'), settings.layerBytes);
    const home = await ToolHome.create(new URL('http://127.0.0.1'), COMMAND_TIMEOUT_MS);
    return new PushBench(directory, settings, image, home, new ContainerDaemons(home));
  }

  /** A directory for one registry, which is not there yet. */
  newDirectory(): string {
    this.directories += 1;
    return join(this.directory, `registry-${this.directories}`);
  }

  /** Pushes to `name:v1`, with faults until the client ends. */
  async push(client: ClientName, fault: FaultName, target: PushTarget, name: string): Promise<PushResult> {
    const clientBench = { home: this.home, image: this.image, daemons: this.daemons };
    const { prepare, push } = PUSH_CLIENTS[client];
    if (!this.prepared.has(client)) this.prepared.set(client, Promise.resolve(prepare?.(clientBench)));
    await this.prepared.get(client);
    const link = await SlowLink.open(target.url, this.settings.bytesPerSecond);
    const enoughBytes = FIRST_FAULT_AT * this.settings.layerBytes;
    const watch = new FaultWatch(target.replicas, () => link.sentBytes, enoughBytes);
    const begun = performance.now();
    const command = await push(`${link.url.host}/${name}:v1`, clientBench);
    const ending = this.home.run('sh', ['-ec', command]).then(
      ({ stdout, stderr }) => ({ succeeded: true, output: stdout + stderr }),
      (error: unknown) => ({ succeeded: false, output: String(error).replace(`sh -ec ${command}: `, '') }),
    );
    const timed = ending.then((ended) => {
      watch.isOver = true;
      return { ...ended, seconds: (performance.now() - begun) / 1000 };
    });
    const injecting = INJECTORS[fault](target, watch);
    const [ended] = await Promise.all([timed, injecting, watch.run()]).finally(() => link.close());
    const { injected, hits } = watch;
    return { client, fault, ...ended, injected, hits, sentBytes: link.sentBytes };
  }

  async dispose(): Promise<void> {
    await this.daemons.stop();
    await this.home.dispose();
    await rm(this.directory, { recursive: true, force: true });
  }
}

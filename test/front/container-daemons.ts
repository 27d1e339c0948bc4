import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runDirectory } from '../support/once-per-run.js';
import type { ToolHome } from '../support/registry-tool.js';
import { until } from '../support/until.js';

const UNUSED_PLUGINS = ['io.containerd.grpc.v1.cri', 'io.containerd.internal.v1.opt'];

/** A daemon that runs. */
interface Daemon {
  stop(): Promise<void>;
}

/** A containerd and a Docker daemon of a test alone. They need root, but no bridge and no iptables. */
export class ContainerDaemons {
  private readonly directory: string;
  private readonly daemons: Daemon[] = [];
  private containerd: Promise<string> | undefined;
  private docker: Promise<string> | undefined;

  constructor(private readonly home: ToolHome) {
    this.directory = home.file('daemons');
  }

  /** Starts it with the first call. Returns the path of its socket. */
  containerdSocket(): Promise<string> {
    this.containerd ??= this.startContainerd();
    return this.containerd;
  }

  /** Starts it with the first call. Returns the value of `DOCKER_HOST`. */
  dockerHost(): Promise<string> {
    this.docker ??= this.startDocker();
    return this.docker;
  }

  async stop(): Promise<void> {
    for (const daemon of this.daemons.splice(0).reverse()) await daemon.stop();
  }

  private async startContainerd(): Promise<string> {
    await mkdir(this.directory, { recursive: true });
    const socket = join(this.directory, 'containerd.sock');
    const file = join(this.directory, 'containerd.toml');
    const configuration = [
      'version = 2',
      `root = "${this.directory}/containerd/root"`,
      `state = "${this.directory}/containerd/state"`,
      `disabled_plugins = ${JSON.stringify(UNUSED_PLUGINS)}`,
      `[grpc]\n  address = "${socket}"`,
    ];
    await writeFile(file, `${configuration.join('\n')}\n`);
    await this.launch('containerd', ['-c', file], () => this.home.run('ctr', ['-a', socket, 'version']));
    return socket;
  }

  private async startDocker(): Promise<string> {
    const containerd = await this.containerdSocket();
    const host = `unix://${this.directory}/docker.sock`;
    const settings = {
      'data-root': `${this.directory}/docker/data`,
      'exec-root': `${this.directory}/docker/exec`,
      pidfile: `${this.directory}/docker.pid`,
      host,
      containerd,
      iptables: 'false',
      bridge: 'none',
      'storage-driver': 'vfs',
    };
    const args = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
    await this.launch('dockerd', args, () => this.home.run('docker', ['-H', host, 'version']));
    return host;
  }

  private async launch(program: string, args: readonly string[], ask: () => Promise<unknown>): Promise<void> {
    const output = openSync(join(this.directory, `${program}.log`), 'a');
    const environment = { PATH: process.env['PATH'] ?? '', HOME: this.home.path };
    const child = spawn(program, args, {
      env: environment,
      stdio: ['ignore', output, output],
      detached: true,
    });
    closeSync(output);
    const ended = once(child, 'exit');
    // The run's clean-up ends what has such a file.
    const pidFile = join(runDirectory(), `${child.pid}.pid`);
    await writeFile(pidFile, String(child.pid));
    const stop = async () => {
      child.kill('SIGTERM');
      await ended;
      await rm(pidFile, { force: true });
    };
    this.daemons.push({ stop });
    await until(program, () => {
      if (child.exitCode !== null) throw new Error(`${program} ended: see ${this.directory}/${program}.log`);
      return ask().then(
        () => true,
        () => false,
      );
    });
  }
}

import { execFile, execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from '@jest/globals';

/** `.ci/run` installs these: there, a missing one is a failure. */
const REQUIRED_IN_CI = [
  ...['busybox', 'skopeo', 'buildah', 'podman', 'nginx', 'docker-registry', 'prometheus', 'promtool'],
  ...['docker', 'dockerd', 'containerd', 'ctr'],
];
/** For hangs only. */
const COMMAND_TIMEOUT_MS = 240_000;
const OUTPUT_LIMIT_BYTES = 16 * 1024 * 1024;

/** The path of a program on the PATH, if it is there. */
export function findProgram(name: string): string | undefined {
  try {
    const found = execFileSync('/bin/sh', ['-c', 'command -v "$1"', 'sh', name], { encoding: 'utf8' });
    return found.trim();
  } catch {
    return undefined;
  }
}

/** A `describe` that needs programs. Without one it is skipped, or fails where CI installs it. */
export function describeWithClients(title: string, programs: readonly string[], define: () => void): void {
  const missing = programs.filter((name) => findProgram(name) === undefined);
  if (missing.length === 0) return describe(title, define);
  const why = `not on the PATH: ${missing.join(', ')}`;
  if (process.env['CI'] && missing.some((name) => REQUIRED_IN_CI.includes(name))) {
    describe(title, () => {
      it('has its clients', () => {
        throw new Error(why);
      });
    });
    return;
  }
  process.stderr.write(`Skipped: ${title}, since ${why}.\n`);
  describe.skip(`${title} (${why})`, define);
}

/** What a command printed. */
export interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

/** A separate home for registry clients, without this machine's settings and credentials. */
export class ToolHome {
  private constructor(
    readonly path: string,
    private readonly environment: Record<string, string>,
    private readonly timeoutMs: number,
  ) {}

  /**
   * @param registry clients reach an http one without TLS; of an https one they know no authority yet.
   * @param timeoutMs of each command
   */
  static async create(registry: URL, timeoutMs = COMMAND_TIMEOUT_MS): Promise<ToolHome> {
    const path = await mkdtemp(join(tmpdir(), 'berth-client-'));
    const file = (name: string) => join(path, name);
    for (const name of ['run', 'tmp', '.docker', '.config/containers'])
      await mkdir(file(name), { recursive: true });
    await writeFile(
      file('.config/containers/policy.json'),
      '{"default":[{"type":"insecureAcceptAnything"}]}',
    );
    await writeFile(file('.docker/config.json'), '{}');
    const insecure = registry.protocol === 'http:';
    await writeFile(
      file('registries.conf'),
      `[[registry]]\nlocation = "${registry.host}"\ninsecure = ${insecure}\n`,
    );
    await writeFile(
      file('storage.conf'),
      `[storage]\ndriver = "vfs"\ngraphroot = "${file('graph')}"\nrunroot = "${file('run')}"\n`,
    );
    await writeFile(
      file('containers.conf'),
      '[engine]\nevents_logger = "none"\ncgroup_manager = "cgroupfs"\n',
    );
    const environment = {
      PATH: process.env['PATH'] ?? '',
      HOME: path,
      TMPDIR: file('tmp'),
      XDG_CONFIG_HOME: file('.config'),
      XDG_DATA_HOME: file('data'),
      XDG_RUNTIME_DIR: file('run'),
      CONTAINERS_CONF: file('containers.conf'),
      CONTAINERS_REGISTRIES_CONF: file('registries.conf'),
      CONTAINERS_STORAGE_CONF: file('storage.conf'),
      DOCKER_CONFIG: file('.docker'),
      BUILDAH_ISOLATION: 'chroot',
    };
    return new ToolHome(path, environment, timeoutMs);
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /**
   * Runs a command, with a timeout. Rejects with its output if it fails.
   *
   * @param input what it reads from its standard input
   */
  run(
    program: string,
    args: readonly string[],
    extra: Record<string, string> = {},
    input = '',
  ): Promise<Output> {
    const options = {
      cwd: this.path,
      env: { ...this.environment, ...extra },
      timeout: this.timeoutMs,
      killSignal: 'SIGKILL' as const,
      maxBuffer: OUTPUT_LIMIT_BYTES,
    };
    return new Promise((resolve, reject) => {
      const child = execFile(program, args, options, (error, stdout, stderr) => {
        if (!error) return resolve({ stdout, stderr });
        reject(new Error(`${program} ${args.join(' ')}: ${error.killed ? 'timeout' : stderr || stdout}`));
      });
      // A program that ended has read what it wanted.
      child.stdin?.on('error', () => {}).end(input);
    });
  }

  async dispose(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

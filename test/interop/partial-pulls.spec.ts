import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { InteropBench } from '../support/interop-bench.js';
import { describeWithClients, findProgram } from '../support/registry-tool.js';

const FILES = 300;
const FILE_BYTES = 100_000;
/** The files that differ in the second image. */
const CHANGED = [7, 50, 51, 120, 200, 260];

/** podman pulls parts of layers only with this storage driver, which needs privileges and a file system. */
function canOverlay(): boolean {
  const directory = mkdtempSync(join(tmpdir(), 'berth-overlay-'));
  try {
    const place = ['--root', join(directory, 'graph'), '--runroot', join(directory, 'run')];
    execFileSync('podman', [...place, '--storage-driver', 'overlay', 'info'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Passes connections on and counts the bytes that the clients receive. */
class Meter {
  receivedBytes = 0;

  private constructor(private readonly server: Server) {}

  static async start(port: number): Promise<Meter> {
    const server = createServer((client) => {
      const registry = connect(port, '127.0.0.1');
      registry.on('data', (chunk) => (meter.receivedBytes += chunk.length));
      client.on('error', () => registry.destroy());
      registry.on('error', () => client.destroy());
      client.pipe(registry).pipe(client);
    });
    const meter = new Meter(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return meter;
  }

  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.server.close();
  }
}

function definePartialPulls(): void {
  let bench: InteropBench;
  let meter: Meter;
  let environment: Record<string, string>;
  const contents = new Map(Array.from({ length: FILES }, (_, index) => [index, randomBytes(FILE_BYTES)]));

  beforeAll(async () => {
    bench = await InteropBench.open();
    meter = await Meter.start(Number(new URL(bench.berth.url).port));
    environment = { CONTAINERS_STORAGE_CONF: bench.home.file('partial.conf') };
    await writeFile(
      bench.home.file('partial.conf'),
      `[storage]\ndriver = "overlay"\n` +
        `graphroot = "${bench.home.file('layers')}"\nrunroot = "${bench.home.file('layers-run')}"\n` +
        `[storage.options]\npull_options = {enable_partial_images = "true"}\n`,
    );
    await push('v1');
    for (const index of CHANGED) contents.set(index, randomBytes(FILE_BYTES));
    await push('v2');
  });
  afterAll(async () => {
    meter.stop();
    await run('podman', 'rmi', '--all', '--force');
    await bench.dispose();
  });

  const run = async (program: string, ...args: string[]) =>
    (await bench.home.run(program, args, environment)).stdout.trim();
  const image = (tag: string) => `${meter.address}/partial/image:${tag}`;

  /** Pushes the files as an image of one layer, and removes the image here. */
  async function push(tag: string): Promise<void> {
    const files = bench.home.file('files');
    await mkdir(files, { recursive: true });
    for (const [index, bytes] of contents) await writeFile(join(files, `file-${index}`), bytes);
    const container = await run('buildah', 'from', 'scratch');
    await run('buildah', 'copy', container, files, '/');
    await run('buildah', 'commit', '--rm', container, image(tag));
    const format = ['--compression-format', 'zstd:chunked'];
    await run('buildah', 'push', '--tls-verify=false', ...format, image(tag), `docker://${image(tag)}`);
    await run('podman', 'rmi', '--all', '--force');
  }

  it.each([
    ['podman', (tag: string) => ['pull', '--tls-verify=false', image(tag)]],
    [
      'skopeo',
      (tag: string) => [
        ...['copy', '--src-tls-verify=false'],
        ...[`docker://${image(tag)}`, `containers-storage:${image(tag)}`],
      ],
    ],
  ])(
    '15. %s pulls of a layer of zstd:chunked only the files that it does not have',
    async (program, pull) => {
      await run(program, ...pull('v1'));
      const before = meter.receivedBytes;
      await run(program, ...pull('v2'));
      const received = meter.receivedBytes - before;
      expect(received).toBeGreaterThan(CHANGED.length * FILE_BYTES);
      // The changed files, and the layer's table of contents.
      expect(received).toBeLessThan(2 * CHANGED.length * FILE_BYTES);
      const root = await run('podman', 'image', 'mount', image('v2'));
      for (const [index, bytes] of contents) {
        expect((await readFile(join(root, `file-${index}`))).equals(bytes)).toBe(true);
      }
      await run('podman', 'image', 'umount', '--all');
      await run('podman', 'rmi', '--all', '--force');
    },
  );
}

if (findProgram('podman') !== undefined && !canOverlay()) {
  process.stderr.write("Skipped: partial pulls, since podman can't use overlay here.\n");
  describe.skip('partial pulls (podman needs overlay)', definePartialPulls);
} else {
  describeWithClients('partial pulls', ['podman', 'buildah', 'skopeo', 'busybox'], definePartialPulls);
}

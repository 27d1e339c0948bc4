import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { OwnBerth } from '../support/running-berth.js';
import { until } from '../support/until.js';

const README_HOST = '127.0.0.1:5000';

/** The README says it for macOS. */
const PREPARATION = `
  set -e
  command -v sha256sum > /dev/null || sha256sum() { shasum -a 256 "$@"; }
`;

describe('the commands of the README', () => {
  let berth: OwnBerth;
  let directory: string;
  let blocks: string[];

  beforeAll(async () => {
    berth = await OwnBerth.start();
    directory = await mkdtemp(join(tmpdir(), 'berth-readme-'));
    const text = await readFile('README.md', 'utf8');
    blocks = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block!);
  });
  afterAll(async () => {
    await berth.dispose();
    await rm(directory, { recursive: true, force: true });
  });

  function blockWith(command: string): string {
    const [block, ...others] = blocks.filter((text) => text.includes(command));
    if (block === undefined || others.length > 0)
      throw new Error(`expected one block of the README with ${command}`);
    return block;
  }

  /** Runs lines as a reader pastes them. Returns what they print. */
  async function paste(lines: string): Promise<string> {
    const script = PREPARATION + lines.replaceAll(README_HOST, new URL(berth.url).host);
    return (await promisify(execFile)('bash', ['-c', script], { cwd: directory })).stdout;
  }

  it('push an image with curl alone', async () => {
    expect(await paste(blockWith('push_blob'))).toBe('Hello from Berth\n');
    const client = new RegistryClient(berth.url);
    const manifest = await client.fetch('/v2/demo/my-image/manifests/1.0');
    const { config } = (await manifest.json()) as { config: { digest: string } };
    const described = JSON.parse(String(await client.blob('demo/my-image', config.digest))) as object;
    const layer = await readFile(join(directory, 'layer.tar'));
    expect(described).toMatchObject({ rootfs: { diff_ids: [digestOf(layer)] } });
  });

  it('continue an upload after a kill -9', async () => {
    const interrupted = paste(
      `trap 'declare -p digest upload > variables' EXIT; ${blockWith('--limit-rate')}`,
    );
    const failed = expect(interrupted).rejects.toThrow();
    await until('durable bytes', async () => {
      const uploads = await new RegistryClient(berth.url).fetch('/api/v1/uploads');
      const { items } = (await uploads.json()) as { items: { offsetBytes: number }[] };
      return items.some(({ offsetBytes }) => offsetBytes > 0);
    });
    await berth.kill();
    await failed;
    await berth.startAgain();
    const definitions = blockWith('--limit-rate')
      .match(/^(registry=|location\(\)).*$/gm)!
      .join('\n');
    const [location, status, sum] = (
      await paste(`source variables\n${definitions}\n${blockWith('tail -c')}`)
    ).split(/\n/);
    expect(Number(location!.split('offset=')[1])).toBeGreaterThanOrEqual(32 * 1024 * 1024);
    expect(status).toBe('201');
    expect(`sha256:${sum}`).toBe(`${digestOf(await readFile(join(directory, 'layer')))}  -`);
  });
});

import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { readFile, writeFile } from 'node:fs/promises';
import { InteropBench } from '../support/interop-bench.js';
import { describeWithClients } from '../support/registry-tool.js';

const SBOM = 'application/vnd.example.sbom';
const SIGNATURE = 'application/vnd.example.signature';

interface Referrers {
  readonly referrers: readonly { digest: string; artifactType: string }[];
}

describeWithClients('oras', ['oras'], () => {
  let bench: InteropBench;
  let name: string;
  let count = 0;
  beforeAll(async () => {
    bench = await InteropBench.open();
    await writeFile(bench.home.file('hello.txt'), 'hello\n');
    await writeFile(bench.home.file('sbom.json'), '{"packages":[]}');
  });
  afterAll(() => bench.dispose());
  beforeEach(() => {
    count += 1;
    name = `${bench.registry}/oras/artifact-${count}`;
  });

  const oras = async (...args: string[]) => (await bench.run('oras', ...args)).stdout.trim();

  const push = () => oras('push', '--plain-http', '--format', 'json', `${name}:v1`, 'hello.txt:text/plain');
  const attach = (type: string, file: string) =>
    oras('attach', '--plain-http', '--artifact-type', type, `${name}:v1`, file);
  async function discover(reference: string, ...flags: string[]): Promise<string[]> {
    const text = await oras('discover', '--plain-http', '--format', 'json', ...flags, reference);
    return (JSON.parse(text) as Referrers).referrers.map(({ artifactType }) => artifactType).sort();
  }

  it('pushes an artifact and pulls the same file', async () => {
    const { digest } = JSON.parse(await push()) as { digest: string };
    expect((await bench.served(`oras/artifact-${count}:v1`)).digest).toBe(digest);
    await oras('pull', '--plain-http', '-o', bench.home.file('pulled'), `${name}:v1`);
    expect(await readFile(bench.home.file('pulled/hello.txt'), 'utf8')).toBe('hello\n');
  });

  it('attaches artifacts and finds them through the referrers API, filtered too', async () => {
    await push();
    await attach(SBOM, 'sbom.json');
    await attach(SIGNATURE, 'hello.txt');
    expect(await discover(`${name}:v1`)).toEqual([SBOM, SIGNATURE]);
    expect(await discover(`${name}:v1`, '--artifact-type', SBOM)).toEqual([SBOM]);
    // The tags of the fallback scheme would show that it didn't believe in the API.
    expect(await oras('repo', 'tags', '--plain-http', name)).toBe('v1');
  });

  it('copies an artifact with all that refers to it, by mounting', async () => {
    await push();
    await attach(SBOM, 'sbom.json');
    const before = await bench.uploadsBegun();
    await oras('cp', '-r', '--from-plain-http', '--to-plain-http', `${name}:v1`, `${name}-copy:v1`);
    expect(await discover(`${name}-copy:v1`)).toEqual([SBOM]);
    expect(await bench.uploadsBegun()).toBe(before);
  });

  it('deletes a referrer, and the list is empty again', async () => {
    await push();
    await attach(SBOM, 'sbom.json');
    const text = await oras('discover', '--plain-http', '--format', 'json', `${name}:v1`);
    const digest = (JSON.parse(text) as Referrers).referrers[0]?.digest ?? '';
    await oras('manifest', 'delete', '--force', '--plain-http', `${name}@${digest}`);
    expect(await discover(`${name}:v1`)).toEqual([]);
  });

  it('pushes, fetches and deletes a blob', async () => {
    await push();
    const pushed = await oras('blob', 'push', '--plain-http', '--descriptor', name, 'sbom.json');
    const { digest } = JSON.parse(pushed) as { digest: string };
    const fetched = await oras('blob', 'fetch', '--plain-http', '--output', '-', `${name}@${digest}`);
    expect(fetched).toBe('{"packages":[]}');
    await oras('blob', 'delete', '--force', '--plain-http', `${name}@${digest}`);
    await expect(oras('blob', 'fetch', '--plain-http', '--output', '-', `${name}@${digest}`)).rejects.toThrow(
      /not found/i,
    );
  });
});

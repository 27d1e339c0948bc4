import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runDirectory } from './once-per-run.js';
import { freePort, isListening } from './process-bench.js';
import { until } from './until.js';

const DEPLOY = 'deploy/prometheus';

interface Answer {
  readonly status: string;
  readonly error?: string;
  readonly data: { readonly result: readonly unknown[] };
}

/** Prometheus with the files of `deploy/prometheus`, which scrapes each second. */
export class Prometheus {
  private constructor(
    readonly url: string,
    private readonly child: ChildProcess,
  ) {}

  /** @param targets the addresses of a registry and of a front, in the place of those in `scrape.yml`. */
  static async start(targets: readonly [registry: string, front: string]): Promise<Prometheus> {
    const directory = await mkdtemp(join(runDirectory(), 'prometheus-'));
    let config = await readFile(`${DEPLOY}/scrape.yml`, 'utf8');
    config = config.replaceAll('scrape_interval: 15s', 'scrape_interval: 1s');
    config = config
      .replace('[rules.yml]', `['${join(process.cwd(), DEPLOY, 'rules.yml')}']`)
      .replace("'127.0.0.1:9464'", `'${targets[0]}'`)
      .replace("'127.0.0.1:9465'", `'${targets[1]}'`);
    await writeFile(join(directory, 'prometheus.yml'), config);
    execFileSync('promtool', ['check', 'config', join(directory, 'prometheus.yml')]);
    const address = `127.0.0.1:${await freePort()}`;
    const child = spawn(
      'prometheus',
      [
        `--config.file=${join(directory, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(directory, 'data')}`,
        `--web.listen-address=${address}`,
      ],
      { stdio: 'ignore' },
    );
    // The run's clean-up ends what has such a file.
    await writeFile(join(runDirectory(), `${child.pid}.pid`), String(child.pid));
    await until('Prometheus', () => isListening(`http://${address}`));
    return new Prometheus(`http://${address}`, child);
  }

  /** The number of series that a query returns. @throws Error if it is wrong. */
  async series(query: string): Promise<number> {
    const response = await fetch(`${this.url}/api/v1/query?${new URLSearchParams({ query }).toString()}`);
    const { status, error, data } = (await response.json()) as Answer;
    if (status !== 'success') throw new Error(`${query}: ${error ?? response.status}`);
    return data.result.length;
  }

  async stop(): Promise<void> {
    this.child.kill('SIGTERM');
    if (this.child.exitCode === null) await once(this.child, 'exit');
  }
}

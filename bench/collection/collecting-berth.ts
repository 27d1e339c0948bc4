import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HOST } from '../load/connection.js';
import { BerthServer } from '../servers/berth.server.js';
import { countFiles } from './count-files.js';

const POLL_MS = 20;

/** A Berth whose collections are started by hand. */
export class CollectingBerth {
  readonly server: BerthServer;

  constructor(
    main: string,
    directory: string,
    readonly port: number,
    workers: string,
    settings: Readonly<Record<string, string>>,
  ) {
    this.server = new BerthServer(main, directory, port, workers, { GC_INTERVAL_SECONDS: '0', ...settings });
  }

  /** Deletes a repository and ends the windows of the deletion, so that its content is garbage. */
  async purgeRepository(name: string): Promise<void> {
    await this.call('PUT', '/jobs/collect/paused', { paused: true });
    await this.call('DELETE', `/repositories/${name}`);
    const { items } = (await this.call('GET', `/deletions?repository=${name}`)) as {
      items: { id: string }[];
    };
    for (const { id } of items) await this.call('POST', `/deletions/${id}/purge`);
  }

  /** Lets the collection begin that the purge waits for. Returns its id. */
  async startCollection(): Promise<string> {
    const before = await this.newestRun();
    await this.call('PUT', '/jobs/collect/paused', { paused: false });
    let run = await this.newestRun();
    for (; run === undefined || run === before; run = await this.newestRun()) await sleep(POLL_MS);
    return run;
  }

  private async newestRun(): Promise<string | undefined> {
    const { items } = (await this.call('GET', '/jobs/collect/runs?limit=1')) as { items: { id: string }[] };
    return items[0]?.id;
  }

  async hasEnded(id: string): Promise<boolean> {
    const { state, error } = (await this.call('GET', `/job-runs/${id}`)) as { state: string; error?: string };
    if (state === 'failed' || state === 'stopped') throw new Error(`the collection ${state}: ${error}`);
    return state === 'succeeded';
  }

  async ended(id: string): Promise<void> {
    while (!(await this.hasEnded(id))) await sleep(POLL_MS);
  }

  /** Objects in its storage. */
  objects(): Promise<number> {
    return countFiles(join(this.server.directory, 'data/storage/blobs'));
  }

  private async call(method: string, path: string, content?: unknown): Promise<unknown> {
    const response = await fetch(`http://${HOST}:${this.port}/api/v1${path}`, {
      method,
      ...(content !== undefined && {
        body: JSON.stringify(content),
        headers: { 'Content-Type': 'application/json' },
      }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  }
}

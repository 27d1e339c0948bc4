import { Agent, type IncomingMessage, request } from 'node:http';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { digestOf } from './registry-client.js';

/** How a client uses its connections. */
interface Habits {
  readonly keepAlive: boolean;
  /** Between two requests: the connection is idle then. */
  readonly pauseMs: number;
}

const HABITS: readonly Habits[] = [
  { keepAlive: true, pauseMs: 0 },
  { keepAlive: true, pauseMs: 10 },
  { keepAlive: true, pauseMs: 700 },
  { keepAlive: false, pauseMs: 0 },
  { keepAlive: false, pauseMs: 20 },
];

/**
 * Clients that push small blobs and pull a manifest, one request after the other, until `stop`. They retry
 * nothing, unlike `fetch`.
 */
export class SteadyClients {
  /** What went wrong, with the request. */
  readonly failures: string[] = [];
  requests = 0;
  private isRunning = true;
  private readonly running: Promise<void>[];

  /** @param manifest the path of a manifest that exists. */
  constructor(
    private readonly url: string,
    private readonly manifest: string,
  ) {
    this.running = HABITS.map((habits, index) => this.run(habits, index));
  }

  async stop(): Promise<void> {
    this.isRunning = false;
    await Promise.all(this.running);
  }

  private async run({ keepAlive, pauseMs }: Habits, index: number): Promise<void> {
    const agent = new Agent({ keepAlive, maxSockets: 1 });
    for (let turn = 0; this.isRunning; turn += 1) {
      const content = `client ${index}, turn ${turn}`;
      const upload = `/v2/steady/blobs/uploads/?digest=${digestOf(content)}`;
      await this.expectStatus(agent, 201, 'POST', upload, content);
      await this.expectStatus(agent, 200, 'GET', this.manifest);
      await sleep(pauseMs);
    }
    agent.destroy();
  }

  private async expectStatus(agent: Agent, expected: number, method: string, path: string, body = '') {
    this.requests += 1;
    const what = await this.ask(agent, method, path, body).catch((error: unknown) => String(error));
    if (what !== expected) this.failures.push(`${method} ${path}: ${what}`);
  }

  private async ask(agent: Agent, method: string, path: string, body: string): Promise<number | undefined> {
    const headers = { 'Content-Length': Buffer.byteLength(body) };
    const asked = request(new URL(path, this.url), { agent, method, headers });
    asked.end(body);
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    await text(response);
    return response.statusCode;
  }
}

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { request as requestTls } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { HOST } from '../load/connection.js';
import { usesTls } from '../load/scheme.js';

const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 30_000;
const POLL_MS = 2;

/** A process of a registry's program. */
export class ServerProcess {
  private constructor(
    private readonly child: ChildProcess,
    private readonly log: string,
  ) {}

  /** @param log file for its output, which is shown if it fails. */
  static start(
    command: readonly string[],
    options: { readonly cwd: string; readonly env: Readonly<Record<string, string>>; readonly log: string },
  ): ServerProcess {
    const [program = '', ...args] = command;
    const output = openSync(options.log, 'a');
    // Its own process group: Ctrl-C reaches only the benchmark, which stops it.
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.env,
      stdio: ['ignore', output, output],
      detached: true,
    });
    closeSync(output);
    child.on('error', () => undefined);
    return new ServerProcess(child, options.log);
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  /** Waits for the first 200 of `/v2/`; with access control it is a 401. */
  async ready(port: number): Promise<void> {
    const deadline = performance.now() + START_TIMEOUT_MS;
    while (!(await serves(port))) {
      if (this.hasEnded) throw new Error(`the server ended: ${this.printed()}`);
      if (performance.now() > deadline) throw new Error(`the server did not start: ${this.printed()}`);
      await sleep(POLL_MS);
    }
  }

  async stop(): Promise<void> {
    if (this.hasEnded) return;
    const ended = once(this.child, 'exit');
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(timer);
  }

  private get hasEnded(): boolean {
    return this.child.pid === undefined || this.child.exitCode !== null || this.child.signalCode !== null;
  }

  private printed(): string {
    return readFileSync(this.log, 'utf8').slice(-2000);
  }
}

function serves(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = (usesTls() ? requestTls : request)(
      { host: HOST, port, path: '/v2/', agent: false },
      (response) => {
        response.resume();
        resolve(response.statusCode === 200 || response.statusCode === 401);
      },
    );
    asked.on('error', () => resolve(false));
    asked.end();
  });
}

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface ChildMessage {
  readonly ready?: boolean;
  readonly interrupted?: boolean;
  readonly failed?: string;
  readonly log?: string;
}

export interface ChildOptions {
  readonly dataDir: string;
  readonly claimOnly?: boolean;
  readonly binaries?: { readonly root: string; readonly version: string };
  /** Run as this user rather than our own. */
  readonly uid?: number;
}

/** One `embedded-process.ts`: a process with a claim and an embedded Postgres, for tests that kill it. */
export class EmbeddedChild {
  readonly messages: ChildMessage[] = [];
  readonly exited: Promise<unknown>;
  private readonly process: ChildProcess;
  private readonly changed = new EventTarget();

  constructor(compiled: string, { uid, ...options }: ChildOptions) {
    const script = join(compiled, 'test/support/embedded-process.js');
    this.process = spawn(process.execPath, [script, JSON.stringify(options)], {
      cwd: '/',
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
      ...(uid !== undefined && { uid, gid: uid }),
    });
    this.exited = once(this.process, 'exit').then(() => this.changed.dispatchEvent(new Event('change')));
    createInterface({ input: this.process.stdout! }).on('line', (line) => {
      this.messages.push(JSON.parse(line) as ChildMessage);
      this.changed.dispatchEvent(new Event('change'));
    });
  }

  get pid(): number {
    return this.process.pid!;
  }

  /** Waits for a message that matches. Rejects if the child ends without one. */
  async seen(fits: (message: ChildMessage) => boolean): Promise<ChildMessage> {
    for (;;) {
      const found = this.messages.find(fits);
      if (found) return found;
      if (this.process.exitCode !== null || this.process.signalCode !== null) {
        throw new Error(`the child ended: ${JSON.stringify(this.messages)}`);
      }
      await once(this.changed, 'change');
    }
  }

  ready(): Promise<ChildMessage> {
    return this.seen(({ ready }) => ready === true);
  }

  async failure(): Promise<string> {
    return (await this.seen(({ failed }) => failed !== undefined)).failed ?? '';
  }

  /** Signals every process of its group, as a terminal does. */
  signalGroup(signal: NodeJS.Signals): void {
    process.kill(-this.pid, signal);
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.exited;
  }

  async tell(command: 'stop' | 'exit'): Promise<void> {
    this.process.stdin?.write(`${command}\n`);
    await this.exited;
  }
}

import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { expect } from '@jest/globals';
import { expectPostgresGone, type ProcessBench } from './process-bench.js';

/** A password that no output may contain. */
export const SECRET = 'hunter2';

/** Starts a Berth that must refuse to start, and returns the one sentence that it prints. */
export async function refusal(
  bench: ProcessBench,
  environment: Record<string, string>,
  openFiles?: number,
): Promise<string> {
  const dataDir = environment['DATA_DIR'] ?? bench.newDataDir();
  const { code, stdout, stderr } = await bench
    .start({ DATA_DIR: dataDir, ...environment }, { openFiles })
    .ended(120_000);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(/^[A-Z/][^\n]+[^.]\.\n$/);
  expect(stderr).not.toContain(SECRET);
  await expectPostgresGone(dataDir);
  return stderr.trimEnd();
}

/** Servers on free ports of 127.0.0.1. */
export class OtherServers {
  private readonly servers: Server[] = [];

  async listen(): Promise<{ server: Server; port: number }> {
    const server = createServer().listen(0, '127.0.0.1');
    this.servers.push(server);
    await once(server, 'listening');
    return { server, port: (server.address() as { port: number }).port };
  }

  /** A port on which no server listens. */
  async freePort(): Promise<number> {
    const { server, port } = await this.listen();
    await new Promise((resolve) => server.close(resolve));
    return port;
  }

  close(): void {
    for (const server of this.servers.splice(0)) server.close();
  }
}

/** The message of a start with a port in use. */
export function portInUse(port: number): string {
  return (
    `Address 127.0.0.1:${port} (HOST and PORT) is in use by another process: ` +
    'stop it, or set PORT to a free port.'
  );
}

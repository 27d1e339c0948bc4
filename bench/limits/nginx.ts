import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { HOST } from '../load/connection.js';
import { freePort } from '../servers/free-port.js';
import { ServerProcess } from '../servers/server-process.js';
import type { LimitContext } from './limit.js';

export async function hasNginx(): Promise<boolean> {
  return promisify(execFile)('nginx', ['-v']).then(
    () => true,
    () => false,
  );
}

/** Runs `work` against an nginx that serves the files of a directory with `sendfile`. */
export async function withNginx<T>(
  { workspace }: LimitContext,
  work: (port: number, files: string) => Promise<T>,
): Promise<T> {
  const directory = await workspace.newDirectory('nginx');
  const files = join(directory, 'files');
  await mkdir(join(files, 'v2'), { recursive: true });
  await writeFile(join(files, 'v2/index.html'), '');
  const port = await freePort();
  const file = join(directory, 'nginx.conf');
  await writeFile(file, configuration(directory, port));
  const server = ServerProcess.start(['nginx', '-e', join(directory, 'log'), '-p', directory, '-c', file], {
    cwd: directory,
    env: { PATH: process.env['PATH'] ?? '' },
    log: join(directory, 'output'),
  });
  const end = workspace.add(() => server.stop());
  try {
    await server.ready(port);
    return await work(port, files);
  } finally {
    await end();
  }
}

function configuration(directory: string, port: number): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `  ${name}_temp_path ${join(directory, name)};`,
  );
  return `daemon off;
worker_processes auto;
pid ${join(directory, 'pid')};
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
${temporary.join('\n')}
  server {
    listen ${HOST}:${port};
    root ${join(directory, 'files')};
  }
}
`;
}

import type { RunningBerth } from './start-berth.js';
import type { Configuration } from '../config/configuration.js';

/** What Berth prints on a terminal when it is ready. @param startSeconds how long the start took. */
export function banner(
  { url, database, driver }: RunningBerth,
  { accessMode, processes }: Configuration,
  version: string,
  startSeconds: number,
): string {
  const { host } = new URL(url);
  const access =
    accessMode === 'open' ? 'open to every client that can reach the address' : 'open, loopback only';
  return [
    `Berth ${version}`,
    `  registry  ${url}/v2/`,
    `  storage   ${driver.name}, ${driver.location}`,
    `  database  ${database.description}`,
    `  API docs  ${url}/api/docs`,
    `  access    ${access}`,
    ...(processes === 1 ? [] : [`  workers   ${processes}`]),
    '',
    `Started in ${startSeconds.toFixed(1)} s as process ${process.pid}. Stop it with Ctrl-C. To push an image:`,
    `  docker tag my-image ${host}/my-image && docker push ${host}/my-image`,
    '',
    '',
  ].join('\n');
}

/** The same facts as fields of the line `started`, for a log of JSON. */
export function startedFields(
  { url, database, driver }: RunningBerth,
  { accessMode, processes }: Configuration,
  version: string,
  startSeconds: number,
) {
  return {
    version,
    node: process.version,
    url,
    storage: driver.name,
    storageLocation: driver.location,
    database: database.description,
    access: accessMode ?? 'loopback',
    workers: processes,
    durationMs: Math.round(startSeconds * 1000),
  };
}

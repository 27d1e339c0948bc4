import type { Serving } from './start-berth.js';
import type { Configuration } from '../config/configuration.js';

/** What an operator sees first. */
export function banner(
  { url, database, driver }: Serving,
  configuration: Configuration,
  version: string,
): string {
  const access =
    configuration.accessMode === 'open' ? 'open to everybody who reaches the address' : 'open, loopback only';
  return [
    `Berth ${version}`,
    `  registry  ${url}/v2/`,
    `  storage   ${driver.name}, ${driver.location}`,
    `  database  ${database.description}`,
    `  API docs  ${url}/api/docs`,
    `  access    ${access}`,
    ...(configuration.processes === 1 ? [] : [`  workers   ${configuration.processes}`]),
    '',
  ].join('\n');
}

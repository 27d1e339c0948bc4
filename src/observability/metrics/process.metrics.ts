import { collectDefaultMetrics, Gauge } from 'prom-client';
import { VERSION } from '../../common/version.js';
import { registry } from './registry.js';

/** Set by the primary before a scrape. */
export const workers = new Gauge({
  name: 'berth_workers',
  help:
    'Worker processes, as their primary sees them. old: finishes its requests after a restart; silent: did ' +
    'not respond to the scrape, because it is frozen or busy. Absent without workers',
  labelNames: ['state'],
  registers: [registry],
});

const info = new Gauge({
  name: 'berth_build_info',
  help: 'The version of Berth and of Node. The value is 1',
  labelNames: ['version', 'node'],
  aggregator: 'first',
  registers: [registry],
});

info.set({ version: VERSION, node: process.version }, 1);

/** Between two measurements of the delay of the event loop. */
const DELAY_RESOLUTION_MS = 20;

/** Adds what prom-client knows of the process: CPU, memory, event loop, garbage collection. Call it once. */
export function addProcessMetrics(): void {
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: DELAY_RESOLUTION_MS });
}

import timers from 'node:timers/promises';
import { afterAll } from '@jest/globals';
import { nodeGlobal } from '../support/node-global.js';

// Jest's own `node:module` has no effect on the modules of Node.
const { syncBuiltinESMExports } = nodeGlobal.process.getBuiltinModule('node:module');
const pause = timers.setTimeout;

/** Shortens the pauses before retries in a file, since these tests depend on the order of events only. */
export function hurryRetries(): void {
  replacePause((delay, value, options) => pause(Math.min(delay ?? 0, 1), value, options));
  afterAll(() => replacePause(pause));
}

function replacePause(setTimeout: typeof pause): void {
  timers.setTimeout = setTimeout;
  syncBuiltinESMExports();
}

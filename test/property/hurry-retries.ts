import * as timers from 'node:timers/promises';
import { jest } from '@jest/globals';

/**
 * Shortens the pauses before retries, since these tests depend on the order of events only. Call it before
 * the modules are imported.
 */
export function hurryRetries(): void {
  const hurried: typeof timers.setTimeout = (delay, value, options) =>
    timers.setTimeout(Math.min(delay ?? 0, 1), value, options);
  jest.unstable_mockModule('node:timers/promises', () => ({ ...timers, setTimeout: hurried }));
}

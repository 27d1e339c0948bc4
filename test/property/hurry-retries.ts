import * as timers from 'node:timers/promises';
import { jest } from '@jest/globals';

/**
 * Makes the pauses short after which something is tried again: what a test waits for is an order of events, not a time. For modules that are imported
 * after it.
 */
export function hurryRetries(): void {
  const hurried: typeof timers.setTimeout = (delay, value, options) =>
    timers.setTimeout(Math.min(delay ?? 0, 1), value, options);
  jest.unstable_mockModule('node:timers/promises', () => ({ ...timers, setTimeout: hurried }));
}

import { describe, expect, it } from '@jest/globals';
import { RestartPace } from './restart-pace.js';

describe('RestartPace', () => {
  it('replaces at once, then backs off while workers end early', () => {
    const pace = new RestartPace();
    expect([0, 50, 9_999, 0].map((servedMs) => pace.pauseAfter(servedMs))).toEqual([0, 200, 400, 800]);
  });

  it('has a maximum pause', () => {
    const pace = new RestartPace();
    const pauses = Array.from({ length: 2_000 }, () => pace.pauseAfter(0));
    expect(Math.max(...pauses)).toBe(30_000);
  });

  it('resets after a worker that served long enough', () => {
    const pace = new RestartPace();
    for (let n = 0; n < 5; n += 1) pace.pauseAfter(0);
    expect(pace.pauseAfter(10_000)).toBe(0);
    expect([0, 0].map((servedMs) => pace.pauseAfter(servedMs))).toEqual([0, 200]);
  });
});

import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { WorkerWatch } from './worker-watch.js';

let asked: number;
let frozen: number;
let watch: WorkerWatch;
beforeEach(() => {
  [asked, frozen] = [0, 0];
  jest.useFakeTimers();
  watch = new WorkerWatch(
    () => (asked += 1),
    () => (frozen += 1),
  );
  watch.begin();
});
afterEach(() => void jest.useRealTimers());

it('says once that a worker is frozen, after ten questions without a reply', () => {
  jest.advanceTimersByTime(10_999);
  expect([asked, frozen]).toEqual([10, 0]);
  jest.advanceTimersByTime(1);
  expect([asked, frozen]).toEqual([10, 1]);
  jest.advanceTimersByTime(60_000);
  expect([asked, frozen]).toEqual([10, 1]);
});

it('counts from 0 after each reply', () => {
  for (let n = 0; n < 20; n += 1) {
    jest.advanceTimersByTime(9_000);
    watch.replied();
  }
  expect([asked, frozen]).toEqual([180, 0]);
});

it('asks nothing after its end', () => {
  watch.end();
  jest.advanceTimersByTime(60_000);
  expect([asked, frozen]).toEqual([0, 0]);
});

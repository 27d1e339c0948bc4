import { UploadReaper } from '../../src/uploads/cleanup/upload-reaper.service.js';
import type { TestBerth } from './test-berth.js';

/** Keeps the reaper of a process from running by itself, so that only the test runs it. */
export function stopReaperSchedule({ app }: TestBerth): void {
  const reaper: unknown = app.get(UploadReaper);
  clearTimeout((reaper as { schedule: { timer: NodeJS.Timeout } }).schedule.timer);
}

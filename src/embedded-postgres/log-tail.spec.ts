import { describe, expect, it } from '@jest/globals';
import { LogTail } from './log-tail.js';

function reasonOf(...lines: string[]): string {
  const tail = new LogTail();
  for (const line of lines) tail.push(line);
  return tail.reason('exit code 1');
}

describe('LogTail', () => {
  it('returns the last failure with its detail, not what followed', () => {
    expect(
      reasonOf(
        'LOG:  starting',
        'FATAL:  it is broken',
        'DETAIL:  Beyond repair.',
        'LOG:  database system is shut down',
      ),
    ).toBe('FATAL: it is broken DETAIL: Beyond repair (exit code 1)');
  });

  it.each([
    ['initdb: error: could not create directory: No space left on device'],
    ['postgres: error while loading shared libraries: libssl.so.1.1: cannot open shared object file'],
  ])('recognises a failure: %s', (line) => {
    expect(reasonOf(line, 'initdb: removing contents of data directory')).toBe(`${line} (exit code 1)`);
  });

  it('does not report a failed statement as the reason', () => {
    expect(reasonOf('ERROR:  duplicate key value', 'LOG:  checkpoint')).toBe('exit code 1');
  });

  it('keeps a bounded number of lines', () => {
    const lines = Array.from({ length: 1_000 }, () => 'LOG:  x');
    expect(reasonOf('FATAL:  long ago', ...lines)).toBe('exit code 1');
  });

  it.each([
    'FATAL:  the database system is starting up',
    'FATAL:  the database system is in recovery mode',
    'FATAL:  terminating connection due to administrator command',
    'FATAL:  sorry, too many clients already',
  ])('ignores messages to clients: %s', (line) => {
    expect(reasonOf(line)).toBe('exit code 1');
    expect(reasonOf('PANIC:  it is broken', line)).toBe('PANIC: it is broken (exit code 1)');
  });

  it('does not add the detail of another line', () => {
    expect(reasonOf('FATAL:  it is broken', 'LOG:  something else', 'DETAIL:  Of that.')).toBe(
      'FATAL: it is broken (exit code 1)',
    );
  });
});

describe('a full disk', () => {
  it('is the reason for the failures that follow', () => {
    expect(
      reasonOf(
        '2026-11-23 20:40:54.373 UTC [16987] ERROR:  could not extend file "base/1/1": No space left on device',
        '2026-11-23 20:40:54.373 UTC [16987] PANIC:  cannot abort transaction 1, it was already committed',
      ),
    ).toBe('ERROR: could not extend file "base/1/1": No space left on device (exit code 1)');
  });
});

describe('firstReason', () => {
  it.each([
    ['initdb: could not look up effective user ID 12345: user does not exist'],
    ['initdb: error: could not create directory "x": Permission denied'],
  ])('returns the first failure: %s', (line) => {
    const tail = new LogTail();
    for (const each of [line, 'PANIC:  cannot abort', 'initdb: removing contents']) tail.push(each);
    expect(tail.firstReason('exit code 1')).toBe(`${line} (exit code 1)`);
  });
});

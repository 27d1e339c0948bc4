import { describe, expect, it } from '@jest/globals';
import { LogTail } from './log-tail.js';

function reasonOf(...lines: string[]): string {
  const tail = new LogTail();
  for (const line of lines) tail.push(line);
  return tail.reason('exit code 1');
}

describe('LogTail', () => {
  it('answers the last failure with its detail, not what followed it', () => {
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
  ])('knows a failure by its look: %s', (line) => {
    expect(reasonOf(line, 'initdb: removing contents of data directory')).toBe(`${line} (exit code 1)`);
  });

  it('takes no failed statement for the reason', () => {
    expect(reasonOf('ERROR:  duplicate key value', 'LOG:  checkpoint')).toBe('exit code 1');
  });

  it('forgets: it is bounded', () => {
    expect(reasonOf('FATAL:  long ago', ...Array.from({ length: 100 }, () => 'LOG:  x'))).toBe('exit code 1');
  });
});

import { expect, it } from '@jest/globals';
import { commandOf } from './command-line.js';

it.each<[string[], string]>([
  [[], 'start'],
  [['--check'], 'check'],
  [['--help'], 'help'],
  [['-h'], 'help'],
  [['--version'], 'version'],
  [['-v'], 'version'],
  [['--check', '--help'], 'help'],
])('%j asks for %s', (args, command) => expect(commandOf(args)).toBe(command));

it.each([
  [['--chekc'], 'the option --chekc'],
  [['-x'], 'the option -x'],
  [['--check=sesame'], 'the option --check'],
  [['--database-url=sesame'], 'the option --database-url'],
  [['--check', 'sesame'], 'arguments without dashes'],
  [['PORT=sesame'], 'arguments without dashes'],
  [['--', 'sesame'], 'arguments without dashes'],
  [['--toString'], 'the option --toString'],
])('%j is refused', (args, what) => {
  expect(() => commandOf(args)).toThrow(`Berth doesn't take ${what}`);
  expect(() => commandOf(args)).not.toThrow('sesame');
});

import 'reflect-metadata';
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { StartupError } from '../common/startup.error.js';
import type { Configuration } from '../config/configuration.js';
import { addDotEnv } from '../config/dot-env.js';
import { loadConfiguration } from '../config/load-configuration.js';
import { oneLine } from '../database/errors/one-line.js';

/** A program beside the registry, with the registry's settings. */
export interface Command<Options extends NonNullable<ParseArgsConfig['options']>> {
  /** Begins the sentence about an unexpected failure: `The backup`. */
  readonly what: string;
  readonly help: string;
  readonly options: Options;
  /** The number of arguments without dashes. */
  readonly positionals: number;
  /** Returns the exit code. */
  run(configuration: Readonly<Configuration>, parsed: Parsed<Options>): Promise<number>;
}

export interface Parsed<Options extends NonNullable<ParseArgsConfig['options']>> {
  readonly values: ReturnType<
    typeof parseArgs<{ options: Options; allowPositionals: true; strict: true }>
  >['values'];
  readonly positionals: readonly string[];
}

/** Prints a line to standard output. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Runs the command of this process. Failures are one sentence on standard error, and the exit code 1. */
export async function runCommand<Options extends NonNullable<ParseArgsConfig['options']>>(
  command: Command<Options>,
): Promise<void> {
  const args = process.argv.slice(2);
  if (args.includes('--help') || args.includes('-h')) return void process.stdout.write(command.help);
  try {
    const parsed = parse(command, args);
    addDotEnv(process.env);
    process.exitCode = await command.run(loadConfiguration(process.env), parsed);
  } catch (error) {
    const sentence =
      error instanceof StartupError ? error.message : `${command.what} failed: ${oneLine(error)}.`;
    process.stderr.write(`${sentence}\n`);
    process.exitCode = 1;
  }
}

function parse<Options extends NonNullable<ParseArgsConfig['options']>>(
  { options, positionals: expected }: Command<Options>,
  args: string[],
): Parsed<Options> {
  const config = { args, options, allowPositionals: true, strict: true } as const;
  try {
    const { values, positionals } = parseArgs(config);
    if (positionals.length === expected) return { values, positionals };
    throw new Error(`expected ${expected === 1 ? 'one directory' : 'no arguments without dashes'}`);
  } catch (cause) {
    throw new StartupError(`${oneLine(cause)}; --help shows what this command takes`, { cause });
  }
}

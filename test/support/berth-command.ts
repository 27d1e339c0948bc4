import { type ChildProcess, execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { builtMain } from './built-berth.js';

export interface CommandResult {
  /** Null: it was killed. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program beside the registry that runs. */
export interface RunningCommand {
  readonly process: ChildProcess;
  readonly result: Promise<CommandResult>;
}

/** Starts a program beside the registry, with PATH and the given environment alone. */
export async function startCommand(
  name: 'backup' | 'restore' | 'check-storage',
  args: readonly string[],
  env: Record<string, string>,
): Promise<RunningCommand> {
  const program = join(dirname(await builtMain()), `commands/${name}.js`);
  const options = { cwd: '/', env: { PATH: process.env['PATH'] ?? '', ...env } };
  let end: (result: CommandResult) => void;
  const result = new Promise<CommandResult>((resolve) => (end = resolve));
  const child = execFile(process.execPath, [program, ...args], options, (error, stdout, stderr) =>
    end({ code: error === null ? 0 : child.exitCode, stdout, stderr }),
  );
  return { process: child, result };
}

export async function runCommand(...of: Parameters<typeof startCommand>): Promise<CommandResult> {
  return (await startCommand(...of)).result;
}

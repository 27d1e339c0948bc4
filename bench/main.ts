import { writeFile } from 'node:fs/promises';
import { parseOptions, USAGE, type Options } from './options.js';
import { jsonOf, textOf } from './report/report.js';
import { Benchmark, namesOf } from './run/benchmark.js';
import { builtMain } from './run/built-berth.js';
import { Workspace } from './run/workspace.js';
import { useTls } from './load/scheme.js';
import { findPeer } from './servers/peer.server.js';

async function main(options: Options): Promise<void> {
  if (options.help) return print(USAGE);
  const names = namesOf(options);
  if (names.length === 0) throw new Error('no such case: see --list');
  if (options.list) return print(names.map((name) => `${name}\n`).join(''));
  const built = await builtMain(options.dist);
  const peer = options.peer === undefined ? undefined : await findPeer(options.peer);
  if (options.peer !== undefined && !peer) tell(`${options.peer} was not found: only Berth is measured`);
  if (options.tls) useTls();
  const workspace = await Workspace.open(options.directory);
  workspace.disposeOnSignals();
  try {
    const found = await new Benchmark(workspace, options, built, peer, tell).run();
    const report = { ...found, peer: peer?.name, options };
    print(textOf(report));
    if (options.json !== undefined) await writeFile(options.json, jsonOf(report));
  } finally {
    await workspace.dispose();
  }
}

function print(text: string): void {
  process.stdout.write(text);
}

function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

try {
  await main(parseOptions(process.argv.slice(2)));
} catch (error) {
  tell(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}

import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { parseOptions, USAGE, type Options } from './options.js';
import { caseTable, notes } from './report/case-table.js';
import type { CaseResult } from './report/results.js';
import { Benchmark, selectedGroups } from './run/benchmark.js';
import { builtMain } from './run/built-berth.js';
import { Ground } from './run/ground.js';
import { findPeer } from './servers/peer.server.js';

async function main(options: Options): Promise<void> {
  if (options.help) return print(USAGE);
  if (options.list)
    return print(
      selectedGroups(options)
        .flatMap(({ cases }) => cases.map(({ name }) => `${name}\n`))
        .join(''),
    );
  const built = await builtMain(options.dist);
  const peer = options.peer === undefined ? undefined : await findPeer(options.peer);
  if (options.peer !== undefined && !peer) tell(`there is no ${options.peer}: Berth is measured alone`);
  const ground = await Ground.open(options.directory);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void ground.dispose().finally(() => process.exit(130)));
  }
  try {
    const results = await new Benchmark(ground, options, built, peer, tell).run();
    report(results, peer?.name);
    if (options.json !== undefined) await writeFile(options.json, jsonOf(options, results, peer?.name));
  } finally {
    await ground.dispose();
  }
}

function report(results: readonly CaseResult[], peerName: string | undefined): void {
  print(`${caseTable(results, peerName)}\n`);
  for (const note of notes(results)) print(`${note}\n`);
}

function jsonOf(options: Options, cases: readonly CaseResult[], peer: string | undefined): string {
  const machine = { cpu: cpus()[0]?.model ?? '', cores: cpus().length, node: process.version };
  const { rounds, seconds, workers, quick } = options;
  return `${JSON.stringify({ machine, peer: peer ?? null, options: { rounds, seconds, workers, quick }, cases }, null, 2)}\n`;
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

import { FULL, QUICK } from '../cases/sizes.js';
import { LoadGenerator } from '../load/load-generator.js';
import { parseOptions } from '../options.js';
import { machineText, thisMachine } from '../report/machine.js';
import type { CaseResult } from '../report/results.js';
import { markdownTable, numberText } from '../report/table.js';
import { builtMain } from '../run/built-berth.js';
import { openAll, runCase } from '../run/run-group.js';
import { Workspace } from '../run/workspace.js';
import { BerthServer } from '../servers/berth.server.js';
import { freePort } from '../servers/free-port.js';
import { FrontServer } from '../servers/front.server.js';
import { MemoryWatch } from '../servers/memory-watch.js';
import { frontCases } from './front-cases.js';

/**
 * What a front costs: the same work through a front and directly, in turn in each round, at the same Berth.
 * The options of `npm run bench` for cases, rounds, seconds, workers, build, directory and size apply.
 */
async function main(): Promise<void> {
  const { rounds, warmUp, seconds, workers, dist, directory, quick, only } = parseOptions(
    process.argv.slice(2),
  );
  const built = await builtMain(dist);
  const workspace = await Workspace.open(directory);
  workspace.disposeOnSignals();
  try {
    const generator = LoadGenerator.start();
    workspace.add(() => generator.stop());
    const berth = new BerthServer(built, await workspace.newDirectory('berth'), await freePort(), workers);
    workspace.add(() => berth.stop());
    await berth.start();
    const front = new FrontServer(built, await workspace.newDirectory('front'), await freePort(), berth.port);
    workspace.add(() => front.stop());
    await front.start();

    const tools = { generator, sizes: quick ? QUICK : FULL };
    const group = frontCases(tools.sizes);
    // The front is compared with its replica as Berth is with its peer.
    const contestants = await openAll(group, [
      { kind: 'berth', server: front, ...tools },
      { kind: 'peer', server: berth, ...tools },
    ]);
    const memory = MemoryWatch.start(front);
    workspace.add(() => void memory.stop());
    const results: CaseResult[] = [];
    for (const info of group.cases.filter(({ name }) => only.test(name))) {
      process.stderr.write(`${info.name}\n`);
      results.push(await runCase(info, contestants, { rounds, warmUp, seconds }));
    }
    const { rssKib, pssKib } = memory.stop().serving;
    process.stdout.write(
      `${machineText(thisMachine())}; WORKERS=${workers}; ` +
        `${rounds} rounds of ${seconds} s after ${warmUp}\n\n` +
        table(results) +
        `\nMemory of the front's processes at most: ${numberText(rssKib / 1024)} MiB (RSS), ` +
        `${numberText(pssKib / 1024)} MiB (PSS)\n`,
    );
  } finally {
    await workspace.dispose();
  }
}

/** Latencies are medians of all rounds, the ratio of the rates is the median of the rounds' ratios. */
function table(results: readonly CaseResult[]): string {
  const rows = results.map(({ name, berth: front, peer: direct, ratio }) => [
    ...[name, numberText(direct?.p50Ms ?? null), numberText(front.p50Ms), numberText(ratio)],
    numberText((front.p50Ms ?? NaN) - (direct?.p50Ms ?? NaN)),
    ...[numberText(direct?.cpuMs ?? null), numberText(front.cpuMs)],
  ]);
  const header = ['case', 'direct ms', 'through a front ms', 'ratio of rates', 'added ms'];
  return markdownTable([...header, 'CPU ms of Berth, direct', 'CPU ms of the front'], rows);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

import { setTimeout as sleep } from 'node:timers/promises';
import { builtMain } from '../run/built-berth.js';
import { Workspace } from '../run/workspace.js';
import { BerthServer } from '../servers/berth.server.js';
import { freePort } from '../servers/free-port.js';
import { SoakLoad } from './load.js';
import { loadTable, windowTable } from './report.js';
import { type Sample, takeSample } from './sampler.js';
import { type SoakSettings, soakSettings } from './settings.js';
import { judge } from './verdict.js';

/**
 * Mixed load on one Berth for a long time: docs/operations.md, "A soak". Returns whether everything stayed
 * flat.
 */
async function soak(settings: SoakSettings, workspace: Workspace): Promise<boolean> {
  const main = await builtMain(settings.dist);
  const directory = await workspace.newDirectory('soak');
  const berth = new BerthServer(main, directory, await freePort(), '1', settings.berth);
  workspace.add(() => berth.stop());
  await berth.start();
  const load = new SoakLoad(berth.port, settings.rate);
  workspace.add(() => load.close());
  const working = load.run();
  const samples = await sample(settings, berth, load, working);
  load.stop();
  await working;
  return report(settings, samples, load);
}

async function sample(
  { minutes, sampleSeconds }: SoakSettings,
  berth: BerthServer,
  load: SoakLoad,
  working: Promise<void>,
): Promise<Sample[]> {
  const begun = performance.now();
  const elapsed = () => (performance.now() - begun) / 1000;
  const samples: Sample[] = [];
  while (elapsed() < minutes * 60) {
    // A failure of the load ends the run; otherwise the load runs until it is stopped.
    await Promise.race([sleep(sampleSeconds * 1000), working]);
    const { atSeconds, values } = await takeSample(berth, elapsed());
    const latencies = load.takeLatenciesMs();
    const at = (part: number) => latencies[Math.floor((latencies.length - 1) * part)] ?? 0;
    const timed = new Map([...values, ['latency p50, ms', at(0.5)], ['latency p99, ms', at(0.99)]]);
    samples.push({ atSeconds, values: timed });
    tell(`${atSeconds.toFixed(0)} s: ${latencies.length} responses, p50 ${at(0.5).toFixed(1)} ms`);
  }
  return samples;
}

function report({ minutes, rate }: SoakSettings, samples: readonly Sample[], load: SoakLoad): boolean {
  const findings = judge(samples);
  const growing = findings.filter(({ verdict }) => verdict === 'grows');
  const isRight = load.wrongResponses === 0;
  print(`\nsoak: ${minutes} minutes, at most ${rate} operations per second\n\n`);
  print(`${windowTable(samples, findings)}\n${loadTable(load)}\n`);
  for (const complaint of load.complaints) print(`wrong: ${complaint}\n`);
  print(`wrong responses: ${load.wrongResponses}\n`);
  print(growing.length === 0 ? 'flat\n' : `grows: ${growing.map(({ name }) => name).join(', ')}\n`);
  return growing.length === 0 && isRight;
}

function print(text: string): void {
  process.stdout.write(text);
}

function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

try {
  const settings = soakSettings(process.env);
  const workspace = await Workspace.open(settings.directory);
  workspace.disposeOnSignals();
  try {
    process.exitCode = (await soak(settings, workspace)) ? 0 : 1;
  } finally {
    await workspace.dispose();
  }
} catch (error) {
  tell(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { CaseInfo, CaseGroup, Measured, OpenGroup, Target } from '../cases/bench-case.js';
import {
  caseResult,
  DATABASE_CPU,
  SERVING_CPU,
  type CaseResult,
  type CaseRounds,
} from '../report/results.js';
import { FlushWatch, type FlushCounts } from '../servers/flush-watch.js';
import { cpuSecondsOf } from '../servers/process-cpu.js';

/** A registry with the seed of a group. */
export interface Contestant {
  readonly target: Target;
  readonly group: OpenGroup;
}

export interface Pace {
  readonly rounds: number;
  readonly warmUp: number;
  readonly seconds: number;
}

/** Runs one case on the registries alternately. Each round starts with the next one. */
export async function runCase(
  info: CaseInfo,
  contestants: readonly Contestant[],
  pace: Pace,
): Promise<CaseResult> {
  const participants = contestants.filter(
    ({ target }) => target.kind === 'berth' || info.withoutPeer === undefined,
  );
  const measured = new Map<Target, Measured[]>(participants.map(({ target }) => [target, []]));
  const rounds = info.single === true ? 1 : pace.rounds;
  const first = info.single === true ? 1 : 1 - pace.warmUp;
  for (let number = first; number <= rounds; number += 1) {
    for (const { target, group } of number % 2 === 0 ? participants : [...participants].reverse()) {
      await settle(target);
      const result = await named(info, target, () =>
        withCpu(target, () => group.run(info.name, { number, seconds: pace.seconds })),
      );
      if (number > 0) measured.get(target)?.push(result);
    }
  }
  const flushes = new Map<Target['kind'], FlushCounts>();
  for (const { target, group } of participants) {
    const extra = () => group.run(info.name, { number: rounds + 1, seconds: pace.seconds });
    const counts =
      info.isPush === true && (await named(info, target, () => flushesPerRequest(target, extra)));
    if (counts) flushes.set(target.kind, counts);
    await named(info, target, () => group.verify(info.name));
  }
  const of = (kind: Target['kind']): CaseRounds | undefined => {
    const found = [...measured].find(([target]) => target.kind === kind);
    return found && { rounds: found[1], flushes: flushes.get(kind) ?? null };
  };
  return caseResult(info, of('berth') ?? { rounds: [], flushes: null }, of('peer'));
}

export async function openAll(group: CaseGroup, targets: readonly Target[]): Promise<Contestant[]> {
  const contestants: Contestant[] = [];
  for (const target of targets)
    contestants.push({ target, group: await named(group, target, () => group.open(target)) });
  return contestants;
}

/** Undefined where calls can't be counted. */
async function flushesPerRequest(
  { server }: Target,
  work: () => Promise<Measured>,
): Promise<FlushCounts | undefined> {
  const watch = await FlushWatch.start(server);
  if (!watch) return undefined;
  const requests = await work()
    .then(({ latenciesMs }) => latenciesMs.length)
    .finally(() => watch.stop());
  const { serving, database, writeBacks } = await watch.stop();
  return {
    serving: serving / requests,
    database: database / requests,
    writeBacks: writeBacks / requests,
  };
}

/** Adds the server's CPU time per request, push or image. */
async function withCpu({ server }: Target, work: () => Promise<Measured>): Promise<Measured> {
  const before = cpuSecondsOf(server);
  const measured = await work();
  const requests = measured.latenciesMs.length;
  if (requests === 0) return measured;
  const after = cpuSecondsOf(server);
  const details = {
    [SERVING_CPU]: ((after.serving - before.serving) * 1000) / requests,
    [DATABASE_CPU]: ((after.database - before.database) * 1000) / requests,
  };
  return { ...measured, details: { ...measured.details, ...details } };
}

/**
 * Flushes the writes of one server, so that they don't slow the next one. A bucket is emptied, so that it
 * doesn't have to hold all rounds.
 */
async function settle({ server, bucket }: Target): Promise<void> {
  await bucket?.empty();
  await promisify(execFile)('sync', ['-f', server.directory]).catch(() => promisify(execFile)('sync'));
}

async function named<T>({ name }: { name: string }, { server }: Target, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${name}, ${server.name}: ${reason}`, { cause });
  }
}

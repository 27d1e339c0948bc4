import { perSecond } from '../cases/bench-case.js';
import type { JobResult } from '../load/jobs.js';
import type { LoadGenerator } from '../load/load-generator.js';
import { median } from '../report/statistics.js';
import { markdownTable, numberText } from '../report/table.js';
import type { CollectingBerth } from './collecting-berth.js';

const CONNECTIONS = 16;
const BLOB_BYTES = 4096;
/** More than a collection deletes in a second. */
const GARBAGE_PER_SECOND = 400;
const MAX_PUSHES_PER_SECOND = 5_000;

/** What the rounds measured, each per second. */
interface Rates {
  readonly alone: number[];
  readonly beside: number[];
  readonly deleted: number[];
}

/**
 * Pushes of small blobs while a collection deletes objects, against pushes without one. Both are measured in
 * each round, one after the other; the order alternates, and the first round is a warm-up.
 */
export class PushesBeside {
  constructor(
    private readonly berth: CollectingBerth,
    private readonly generator: LoadGenerator,
    private readonly seconds: number,
  ) {}

  async run(rounds: number): Promise<string> {
    const rates: Rates = { alone: [], beside: [], deleted: [] };
    for (let round = 0; round <= rounds; round += 1) {
      const first = round % 2 === 0 ? await this.alone(round) : undefined;
      const { pushed, deleted } = await this.beside(round);
      const alone = first ?? (await this.alone(round));
      if (round === 0) continue;
      rates.alone.push(alone);
      rates.beside.push(pushed);
      rates.deleted.push(deleted);
    }
    return table(rates);
  }

  private async alone(round: number): Promise<number> {
    return perSecond(await this.push(`alone/round-${round}`)).value;
  }

  private async beside(round: number): Promise<{ pushed: number; deleted: number }> {
    const { berth } = this;
    const garbage = `garbage/round-${round}`;
    await this.push(garbage, Math.ceil(GARBAGE_PER_SECOND * this.seconds));
    await berth.purgeRepository(garbage);
    const before = await berth.objects();
    const run = await berth.startCollection();
    // Rows go first. The measurement begins with the first object.
    while ((await berth.objects()) === before && !(await berth.hasEnded(run)));
    const [from, since] = [await berth.objects(), performance.now()];
    const result = await this.push(`beside/round-${round}`);
    if (await berth.hasEnded(run)) throw new Error('the collection ended before the measurement');
    const gone = from + result.latenciesMs.length - (await berth.objects());
    const deleted = gone / ((performance.now() - since) / 1000);
    await berth.ended(run);
    return { pushed: perSecond(result).value, deleted };
  }

  /** For the seconds of a round, or exactly so many. */
  private push(repository: string, count?: number): Promise<JobResult> {
    const { seconds, berth, generator } = this;
    const cut =
      count === undefined ? { count: Math.ceil(seconds * MAX_PUSHES_PER_SECOND), seconds } : { count };
    const { port } = berth;
    return generator.run({
      ...{ kind: 'push', port, connections: CONNECTIONS, repository, form: 'put', sizeBytes: BLOB_BYTES },
      ...{ ...cut, label: repository },
    } as const);
  }
}

function table({ alone, beside, deleted }: Rates): string {
  const ratios = beside.map((rate, round) => rate / (alone[round] ?? NaN));
  const header = [
    'pushes of 4 KiB, 16 connections',
    'pushes/s',
    'objects deleted/s',
    'ratio',
    'lowest',
    'highest',
  ];
  return markdownTable(header, [
    ['without a collection', numberText(median(alone)), '0', '', '', ''],
    [
      'beside a collection',
      numberText(median(beside)),
      numberText(median(deleted)),
      ...[median(ratios), Math.min(...ratios), Math.max(...ratios)].map(numberText),
    ],
  ]);
}

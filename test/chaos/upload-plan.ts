import { Content } from './content.js';
import type { SeededRandom } from './seeded-random.js';
import { CHECKPOINT_BYTES, type ChaosSettings } from './settings.js';

/**
 * How the bytes are sent. `whole`: POST ?digest=. `stream`: one PATCH without a length or a range, as Docker
 * does.
 */
export type Manner = 'whole' | 'last' | 'stream' | 'chunks';
export type Ending = 'commit' | 'cancel' | 'abandon';
/** What a client does on top of what is done to it. Each is a kind of fault in the table. */
export const QUIRKS = [
  'client left and came back at once',
  'second client wrote the same session',
  'client trickled',
  'answer of a commit lost',
] as const;
export type Quirk = (typeof QUIRKS)[number];

/** One upload, decided before it begins. */
export interface UploadPlan {
  readonly index: number;
  /** Names its client in problems. */
  readonly label: string;
  readonly repository: string;
  readonly content: Content;
  readonly manner: Manner;
  readonly ending: Ending;
  readonly startsAtMs: number;
  /** How long its client would take to send the bytes if nothing went wrong. */
  readonly sendingMs: number;
  readonly quirks: ReadonlySet<Quirk>;
  readonly random: SeededRandom;
}

/** Below this a body is sent before anything can happen to it. */
const INTERRUPTIBLE_BYTES = 256 * 1024;
const LARGE_BYTES = 32 * 1024 * 1024;
/** One upload in so many is of the largest size: few, since they take most of the time. */
const LARGEST_EVERY = 100;
/** One upload in so many is made for a quirk, each quirk in turn, so that a short run has them all. */
const SHOWCASE_EVERY = 4;
const REPOSITORIES = ['base', 'app', 'tools', 'data'];

/** The uploads of a run, one after the other; there is always one more. */
export class UploadPlanner {
  private previous: UploadPlan | undefined;
  private next = 0;

  constructor(
    private readonly settings: ChaosSettings,
    private readonly seed: SeededRandom,
  ) {}

  plan(): UploadPlan {
    const index = this.next++;
    const random = this.seed.fork(`upload ${index}`);
    const isShowcase = index % SHOWCASE_EVERY === 0;
    const plan = isShowcase ? this.showcase(index, random) : this.any(index, random);
    this.previous = plan;
    return plan;
  }

  /** Large and slow enough for its quirk to come about. */
  private showcase(index: number, random: SeededRandom): UploadPlan {
    const quirk = QUIRKS[(index / SHOWCASE_EVERY) % QUIRKS.length];
    const { seed, maxBytes } = this.settings;
    const least = this.settings.partBytes ?? INTERRUPTIBLE_BYTES * 2;
    const sizeBytes = random.logInt(least, Math.max(least, Math.min(maxBytes, LARGE_BYTES)));
    return {
      ...this.common(index, random),
      content: new Content(`${seed}/${index}`, sizeBytes),
      manner: 'chunks',
      ending: 'commit',
      sendingMs: random.int(1_000, 3_000),
      quirks: new Set(quirk === undefined ? [] : [quirk]),
    };
  }

  private any(index: number, random: SeededRandom): UploadPlan {
    const { previous } = this;
    const shared = previous !== undefined && random.chance(0.2);
    const size = this.sizeOf(index, random);
    const content = shared ? previous.content : new Content(`${this.settings.seed}/${index}`, size);
    const manner = random.pick<Manner>(['whole', 'last', 'stream', 'stream', 'chunks']);
    const commits = manner === 'whole' || random.chance(0.8);
    const common = this.common(index, random);
    return {
      ...common,
      content,
      manner,
      ending: commits ? 'commit' : random.pick<Ending>(['cancel', 'abandon']),
      // The same content at the same time: all of them succeed, one object remains.
      startsAtMs: shared ? previous.startsAtMs : common.startsAtMs,
      sendingMs: random.logInt(200, 5_000),
      quirks: quirksOf(content.sizeBytes, manner, random),
    };
  }

  private common(index: number, random: SeededRandom) {
    const { uploads, spreadSeconds } = this.settings;
    const repository = `chaos/${random.pick(REPOSITORIES)}`;
    return {
      index,
      label: `upload ${index}`,
      random,
      repository,
      startsAtMs: (index / uploads) * spreadSeconds * 1000,
    };
  }

  private sizeOf(index: number, random: SeededRandom): number {
    const { uploads, maxBytes, partBytes } = this.settings;
    const every = Math.min(uploads, LARGEST_EVERY);
    if (index % every === Math.floor(every / 2) + 1) return maxBytes;
    if (random.chance(0.2)) {
      return random.pick([0, 1, 2, CHECKPOINT_BYTES - 1, CHECKPOINT_BYTES, CHECKPOINT_BYTES + 1]);
    }
    if (partBytes !== undefined && random.chance(0.5)) return sizeInParts(partBytes, maxBytes, random);
    const size = random.logInt(1, maxBytes);
    return size > LARGE_BYTES ? random.logInt(1, maxBytes) : size;
  }
}

/** Of several parts mostly, or the edges of one. */
function sizeInParts(partBytes: number, maxBytes: number, random: SeededRandom): number {
  const edges = [partBytes - 1, partBytes, partBytes + 1, 2 * partBytes];
  const size = random.chance(0.2)
    ? random.pick(edges)
    : random.logInt(partBytes, Math.max(partBytes, Math.min(maxBytes, LARGE_BYTES)));
  return Math.min(size, maxBytes);
}

function quirksOf(sizeBytes: number, manner: Manner, random: SeededRandom): Set<Quirk> {
  const isInterruptible = sizeBytes >= INTERRUPTIBLE_BYTES && manner !== 'whole';
  const possible = isInterruptible ? QUIRKS : (['answer of a commit lost'] as const);
  return new Set(possible.filter(() => random.chance(0.15)));
}

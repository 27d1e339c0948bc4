import { Content } from './content.js';
import type { SeededRandom } from './seeded-random.js';
import { CHECKPOINT_BYTES, type ChaosSettings } from './settings.js';

/**
 * How the bytes are sent. `whole`: POST ?digest=. `stream`: one PATCH without a length or a range, as Docker
 * does.
 */
export type UploadForm = 'whole' | 'last' | 'stream' | 'chunks';
export type Ending = 'commit' | 'cancel' | 'abandon';
/** Faults of clients. Each is a row of the results table. */
export const CLIENT_FAULTS = [
  'client disconnected and reconnected at once',
  'second client wrote the same session',
  'client sent single bytes slowly',
  'response to a commit lost',
] as const;
export type ClientFault = (typeof CLIENT_FAULTS)[number];

/** One upload, planned before it starts. */
export interface UploadPlan {
  readonly index: number;
  /** Its client's name in problems. */
  readonly label: string;
  readonly repository: string;
  readonly content: Content;
  readonly form: UploadForm;
  readonly ending: Ending;
  readonly startsAtMs: number;
  /** Time to send the bytes without faults. */
  readonly sendingMs: number;
  readonly clientFaults: ReadonlySet<ClientFault>;
  readonly random: SeededRandom;
}

/** Smaller bodies are sent before a fault can occur. */
const INTERRUPTIBLE_BYTES = 256 * 1024;
const LARGE_BYTES = 32 * 1024 * 1024;
/** One of this many uploads has the largest size: few, because they take most of the time. */
const LARGEST_EVERY = 100;
/** One of this many uploads has a client fault, each kind in turn, so that a short run has all of them. */
const SHOWCASE_EVERY = 4;
const REPOSITORIES = ['base', 'app', 'tools', 'data'];

/** Plans the uploads of a run, without end. */
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

  /** Large and slow enough for its client fault to occur. */
  private showcase(index: number, random: SeededRandom): UploadPlan {
    const clientFault = CLIENT_FAULTS[(index / SHOWCASE_EVERY) % CLIENT_FAULTS.length];
    const { seed, maxBytes } = this.settings;
    const least = this.settings.partBytes ?? INTERRUPTIBLE_BYTES * 2;
    const sizeBytes = random.logInt(least, Math.max(least, Math.min(maxBytes, LARGE_BYTES)));
    return {
      ...this.common(index, random),
      content: new Content(`${seed}/${index}`, sizeBytes),
      form: 'chunks',
      ending: 'commit',
      sendingMs: random.int(1_000, 3_000),
      clientFaults: new Set(clientFault === undefined ? [] : [clientFault]),
    };
  }

  private any(index: number, random: SeededRandom): UploadPlan {
    const { previous } = this;
    const shared = previous !== undefined && random.chance(0.2);
    const size = this.sizeOf(index, random);
    const content = shared ? previous.content : new Content(`${this.settings.seed}/${index}`, size);
    const form = random.pick<UploadForm>(['whole', 'last', 'stream', 'stream', 'chunks']);
    const commits = form === 'whole' || random.chance(0.8);
    const common = this.common(index, random);
    return {
      ...common,
      content,
      form,
      ending: commits ? 'commit' : random.pick<Ending>(['cancel', 'abandon']),
      // Pushes of the same content at the same time all succeed, and leave one object.
      startsAtMs: shared ? previous.startsAtMs : common.startsAtMs,
      sendingMs: random.logInt(200, 5_000),
      clientFaults: clientFaultsOf(content.sizeBytes, form, random),
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

/** Usually several parts, or the edges of one. */
function sizeInParts(partBytes: number, maxBytes: number, random: SeededRandom): number {
  const edges = [partBytes - 1, partBytes, partBytes + 1, 2 * partBytes];
  const size = random.chance(0.2)
    ? random.pick(edges)
    : random.logInt(partBytes, Math.max(partBytes, Math.min(maxBytes, LARGE_BYTES)));
  return Math.min(size, maxBytes);
}

function clientFaultsOf(sizeBytes: number, form: UploadForm, random: SeededRandom): Set<ClientFault> {
  const isInterruptible = sizeBytes >= INTERRUPTIBLE_BYTES && form !== 'whole';
  const possible = isInterruptible ? CLIENT_FAULTS : (['response to a commit lost'] as const);
  return new Set(possible.filter(() => random.chance(0.15)));
}

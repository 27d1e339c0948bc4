import { Content } from './content.js';
import type { SeededRandom } from './seeded-random.js';
import { CHECKPOINT_BYTES, type ChaosSettings } from './settings.js';

/** How the bytes are sent. `whole`: POST ?digest=. `stream`: one PATCH without a length or a range, as Docker does. */
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
/** Uploads of the largest size: few, since they take most of the time. */
const LARGEST_PER_HUNDRED = 1;

export function planUploads(settings: ChaosSettings, seed: SeededRandom): UploadPlan[] {
  const plans: UploadPlan[] = [];
  for (let index = 0; index < settings.uploads; index += 1) {
    plans.push(planUpload(index, settings, seed.fork(`upload ${index}`), plans.at(-1)));
  }
  return plans;
}

function planUpload(
  index: number,
  settings: ChaosSettings,
  random: SeededRandom,
  previous: UploadPlan | undefined,
): UploadPlan {
  const shared = previous !== undefined && random.chance(0.15);
  const sizeBytes = sizeOf(index, settings, random);
  const content = shared ? previous.content : new Content(`${settings.seed}/${index}`, sizeBytes);
  const manner = random.pick<Manner>(['whole', 'last', 'stream', 'stream', 'chunks', 'chunks']);
  const ending =
    manner === 'whole' || random.chance(0.88) ? 'commit' : random.pick<Ending>(['cancel', 'abandon']);
  const startsAtMs = (index / settings.uploads) * settings.spreadSeconds * 1000;
  return {
    index,
    repository: `chaos/${random.pick(['base', 'app', 'tools', 'data'])}`,
    content,
    manner,
    ending,
    // The same content at the same time: all of them succeed, one object remains.
    startsAtMs: shared ? previous.startsAtMs : startsAtMs,
    sendingMs: random.logInt(200, 5_000),
    quirks: quirksOf(index, content.sizeBytes, manner, random),
    random,
  };
}

function sizeOf(index: number, { uploads, maxBytes }: ChaosSettings, random: SeededRandom): number {
  const everyNth = Math.min(uploads, Math.round(100 / LARGEST_PER_HUNDRED));
  if (index % everyNth === everyNth - 1) return maxBytes;
  if (random.chance(0.2)) {
    return random.pick([0, 1, 2, CHECKPOINT_BYTES - 1, CHECKPOINT_BYTES, CHECKPOINT_BYTES + 1]);
  }
  const size = random.logInt(1, maxBytes);
  return size > LARGE_BYTES ? random.logInt(1, maxBytes) : size;
}

function quirksOf(index: number, sizeBytes: number, manner: Manner, random: SeededRandom): Set<Quirk> {
  const possible = QUIRKS.filter((quirk) => {
    if (quirk === 'answer of a commit lost') return true;
    return sizeBytes >= INTERRUPTIBLE_BYTES && manner !== 'whole';
  });
  const quirks = new Set(possible.filter(() => random.chance(0.15)));
  // Each of them in turn, so that a short run has them all.
  const due = QUIRKS[index % QUIRKS.length];
  if (due !== undefined && possible.includes(due) && random.chance(0.5)) quirks.add(due);
  return quirks;
}

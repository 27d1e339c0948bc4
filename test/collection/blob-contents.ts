import { type SmallBlob, smallBlob } from '../chaos/image-content.js';
import type { SeededRandom } from '../chaos/seeded-random.js';

/** Contents that several clients push, into all repositories. */
const SHARED = 30;
const LARGEST_BYTES = 32 * 1024;

/** The contents of a run, by digest. */
export class BlobContents {
  private readonly known = new Map<string, SmallBlob>();

  /** One that only this name has. */
  own(name: string, random: SeededRandom): SmallBlob {
    return this.add(smallBlob(`own/${name}`, random.logInt(1, LARGEST_BYTES)));
  }

  shared(random: SeededRandom): SmallBlob {
    const n = random.int(1, SHARED);
    return this.add(smallBlob(`shared/${n}`, 100 * n));
  }

  /** The content with a digest that was made before. */
  get(digest: string): SmallBlob {
    const blob = this.known.get(digest);
    if (blob === undefined) throw new Error(`no content of the run has ${digest}`);
    return blob;
  }

  private add(blob: SmallBlob): SmallBlob {
    this.known.set(blob.digest, blob);
    return blob;
  }
}

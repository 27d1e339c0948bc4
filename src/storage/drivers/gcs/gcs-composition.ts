import { mapBounded } from '../../../common/map-bounded.js';

/** https://cloud.google.com/storage/docs/composing-objects */
export const MAX_SOURCES = 32;
const CONCURRENT_REQUESTS = 16;

/** The requests of a composition. */
export interface Composer {
  /** Makes `target` of the sources, without transferring their bytes. */
  compose(sources: readonly string[], target: string): Promise<void>;
  /** Returns a name that no object has. */
  newName(): string;
}

/**
 * Composes one object of any number of others, by a tree of requests with up to 32 sources each:
 *
 *     p1 … p32   p33 … p64   p65 … p70      parts
 *        i1          i2          i3         intermediate objects
 *                  target
 *
 * 10,000 parts take 313 + 10 + 1 requests. A request costs the store the same for objects of any size.
 */
export class GcsComposition {
  /** To be deleted afterwards. Includes those whose request failed or was aborted. */
  readonly intermediates: string[] = [];

  constructor(private readonly composer: Composer) {}

  /**
   * Returns at most 32 objects that hold the bytes of all parts. Rejects when the running requests have
   * settled.
   */
  async reduce(parts: readonly string[]): Promise<readonly string[]> {
    let level = parts;
    while (level.length > MAX_SOURCES) {
      level = await mapBounded(groupsOf(level), CONCURRENT_REQUESTS, (group) => this.composed(group));
    }
    return level;
  }

  private async composed(group: readonly string[]): Promise<string> {
    const [only] = group;
    if (only !== undefined && group.length === 1) return only;
    const name = this.composer.newName();
    this.intermediates.push(name);
    await this.composer.compose(group, name);
    return name;
  }
}

function groupsOf(names: readonly string[]): (readonly string[])[] {
  const groups: (readonly string[])[] = [];
  for (let start = 0; start < names.length; start += MAX_SOURCES) {
    groups.push(names.slice(start, start + MAX_SOURCES));
  }
  return groups;
}

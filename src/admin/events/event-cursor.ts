import type { Page } from '../../database/page.js';
import { SortedCursor, type Sorted } from '../paging/sorted-cursor.js';
import type { Position } from '../paging/sort.js';

/** Events are sorted by time, newest first, and those of the same time by their id. */
const NEWEST_FIRST = '-happenedAt';

/** The cursors of a list of events. */
export class EventCursor {
  private readonly cursor: SortedCursor<string>;

  constructor(list: string) {
    this.cursor = new SortedCursor(list, 'id', parseEventId);
  }

  /** @throws BadRequestException */
  decode(cursor: string | undefined): Position | undefined {
    return this.cursor.decode(NEWEST_FIRST, cursor);
  }

  /** The page as the API returns it. */
  pageDto<Event extends Sorted & { id: string }>(page: Page<Event>) {
    const { items, nextCursor } = this.cursor.pageDto(page, NEWEST_FIRST, ({ id }) => id);
    return { items: items.map(({ id: _, ...event }) => event), nextCursor };
  }
}

function parseEventId(text: string): string {
  if (!/^[1-9][0-9]{0,17}$/.test(text)) throw new Error('expected the id of an event');
  return text;
}

import { Injectable } from '@nestjs/common';
import { ListQueries } from '../database/list-queries.js';
import type { Page, PageRequest } from '../database/page.js';
import type { NameRange } from '../oci/name-range.js';

/** The catalogue: names of repositories, sorted by bytes. */
@Injectable()
export class CatalogueService {
  constructor(private readonly lists: ListQueries) {}

  /**
   * A page of the names within `ranges`, which are sorted and do not overlap. Reads as many rows as the page
   * has, and a place in the index for each range.
   */
  async names(ranges: readonly NameRange[], { after = '', limit }: PageRequest): Promise<Page<string>> {
    const left = ranges.filter(({ to }) => to > after);
    const [from, to] = [left.map((range) => range.from), left.map((range) => range.to)];
    const sql = 'SELECT name FROM repository_names($1, $2, $3, $4) AS name';
    const { items, more } = await this.lists.page<{ name: string }>(sql, [from, to, after], limit);
    return { items: items.map(({ name }) => name), more };
  }
}

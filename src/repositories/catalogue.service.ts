import { Injectable } from '@nestjs/common';
import { ListQueries } from '../database/list-queries.js';
import type { Page, PageRequest } from '../database/page.js';

/** The catalogue: names of repositories, sorted by bytes. */
@Injectable()
export class CatalogueService {
  constructor(private readonly lists: ListQueries) {}

  async names({ after, limit }: PageRequest): Promise<Page<string>> {
    const sql = 'SELECT name FROM repositories WHERE name > $1 ORDER BY name LIMIT $2';
    const { items, more } = await this.lists.page<{ name: string }>(sql, [after ?? ''], limit);
    return { items: items.map(({ name }) => name), more };
  }
}

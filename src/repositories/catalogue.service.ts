import { Injectable } from '@nestjs/common';
import { ListQueries } from '../database/list-queries.js';
import { listNames, type Page, type PageRequest } from '../database/name-list.js';

/** The catalogue: names of repositories in byte order, one page at a time. */
@Injectable()
export class CatalogueService {
  constructor(private readonly lists: ListQueries) {}

  names(page: PageRequest): Promise<Page<string>> {
    const sql = 'SELECT name FROM repositories WHERE name > $1 ORDER BY name LIMIT $2';
    return listNames(this.lists, sql, [], page);
  }
}

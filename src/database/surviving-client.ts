import pg from 'pg';

/**
 * A connection that may be lost at any moment. Between the pool's listener for its `error` event and TypeORM's there is a gap in which nobody
 * listens; an event there, a server that is stopped for instance, would end the process. Queries on it reject all the same.
 */
export class SurvivingClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config);
    this.on('error', () => undefined);
  }
}

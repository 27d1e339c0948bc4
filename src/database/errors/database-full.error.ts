/** The disk of the embedded database has too little free space for a request that writes. */
export class DatabaseFullError extends Error {
  constructor() {
    super('the disk of the database is full');
    this.name = 'DatabaseFullError';
  }
}

/** How long a request of an upload outlasts a database that is restarted or fails over. */
export const DATABASE_PATIENCE_MS = 20_000;

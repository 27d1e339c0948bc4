/**
 * The `detail` of a 429 that says that another request writes to an upload session. A client may ask again
 * after it. A 429 without it is a limit of the client, such as that of failed logins.
 */
export const BUSY_UPLOAD = { upload: 'busy' } as const;

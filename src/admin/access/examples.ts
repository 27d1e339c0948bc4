/** Values for the description of the API of access control. Swagger UI fills them in, so they are valid. */
export const EXAMPLE_ADMIN = 'admin';
export const EXAMPLE_USER = 'alice';
export const EXAMPLE_ROBOT = 'ci';
export const EXAMPLE_GROUP = 'developers';
export const EXAMPLE_PATTERN = 'demo/**';
export const EXAMPLE_PASSWORD = 'correct horse battery staple';
export const EXAMPLE_TOKEN_ID = '0123456789ab';
/** The random part is zero: nobody has this secret. */
export const EXAMPLE_SECRET = `berth_${EXAMPLE_TOKEN_ID}_${'0'.repeat(43)}_1ieR97`;
/** Of `EXAMPLE_PASSWORD`, at the lowest cost. */
export const EXAMPLE_HTPASSWD = `${EXAMPLE_USER}:$2y$04$......................DunJ0NhOinbZprl1sCtuSWfJkZJJgCO\n`;

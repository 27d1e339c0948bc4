/** Values of `Configuration.access`. */
export const ACCESS_MODES = ['open', 'loopback', 'token'] as const;

export type AccessMode = (typeof ACCESS_MODES)[number];

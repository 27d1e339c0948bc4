/** The sender of a request. */
export interface Principal {
  /** Null for anonymous requests. */
  readonly name: string | null;
}

export const ANONYMOUS: Principal = { name: null };

/** Who makes a request. */
export interface Principal {
  /** Null: nobody in particular. */
  readonly name: string | null;
}

export const ANONYMOUS: Principal = { name: null };

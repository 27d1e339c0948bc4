import { createSecret } from '../../src/accounts/secrets/secret.js';

/** Runs SQL on the database of a Berth. */
type Query = (sql: string, parameters: unknown[]) => Promise<unknown>;

export interface AccountOptions {
  readonly kind?: 'user' | 'robot';
  readonly role?: 'reader' | 'admin';
  /** A role for each pattern. */
  readonly grants?: Readonly<Record<string, 'pull' | 'push' | 'maintain'>>;
  readonly ceiling?: 'pull';
}

/** An account that was made, and a secret of it. */
export interface Login {
  readonly name: string;
  readonly secret: string;
  readonly secretId: string;
  /** The header of a login with it. */
  readonly authorization: string;
}

/** Makes accounts by SQL: without a hash of a password, they cost no time. */
export class AccessFixtures {
  constructor(private readonly query: Query) {}

  async account(
    name: string,
    { kind = 'user', role, grants = {}, ceiling }: AccountOptions = {},
  ): Promise<Login> {
    const sql = 'INSERT INTO accounts (name, kind, registry_role) VALUES ($1, $2, $3)';
    await this.query(sql, [name, kind, role ?? null]);
    for (const [pattern, grantRole] of Object.entries(grants)) await this.grant(name, pattern, grantRole);
    const { id, text, sha256 } = createSecret();
    await this.query(
      `INSERT INTO access_tokens (id, account_id, name, sha256, ceiling)
       SELECT $1, id, 'of the tests', $2, $3 FROM accounts WHERE name = $4`,
      [id, sha256, ceiling ?? null, name],
    );
    return { name, secret: text, secretId: id, authorization: basic(name, text) };
  }

  /** @param subject the name of an account, or `signed-in` or `anonymous`. */
  async grant(subject: string, pattern: string, role: string): Promise<void> {
    const isAccount = subject !== 'signed-in' && subject !== 'anonymous';
    await this.query(
      `INSERT INTO grants (subject, account_id, pattern, role)
       VALUES ($1, (SELECT id FROM accounts WHERE name = $2), $3, $4)`,
      [isAccount ? 'account' : subject, subject, pattern, role],
    );
  }
}

export function basic(name: string, password: string): string {
  return `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
}

import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Accounts, groups, grants and secrets, and the epoch that each change of them raises. */
export class AccessControl1764400000000 implements MigrationInterface {
  readonly name = 'AccessControl1764400000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await queryRunner.query(statement);
  }
}

const NAME_CHECK = `name ~ '^[a-z0-9][a-z0-9._-]{1,63}$'`;

/** A trigger on a table, for changes of rights. New hashes of a password and last uses change none. */
function raisesEpoch(table: string, updatedColumns?: string): string {
  const update = updatedColumns === undefined ? 'UPDATE' : `UPDATE OF ${updatedColumns}`;
  return `CREATE TRIGGER ${table}_raise_access_epoch AFTER INSERT OR DELETE OR TRUNCATE OR ${update} ON ${table}
            FOR EACH STATEMENT EXECUTE FUNCTION raise_access_epoch()`;
}

const UP = [
  `CREATE TABLE access_state (
      is_only_row boolean NOT NULL DEFAULT true,
      epoch bigint NOT NULL DEFAULT 1,
      issuer uuid NOT NULL,
      CONSTRAINT access_state_pkey PRIMARY KEY (is_only_row),
      CONSTRAINT access_state_is_only_row_check CHECK (is_only_row)
    )`,
  `INSERT INTO access_state (issuer) VALUES (gen_random_uuid())`,
  `CREATE FUNCTION raise_access_epoch() RETURNS trigger LANGUAGE plpgsql AS $$
     BEGIN
       UPDATE access_state SET epoch = epoch + 1;
       RETURN NULL;
     END
   $$`,
  `CREATE TABLE accounts (
      id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
      name text COLLATE "C" NOT NULL,
      kind text NOT NULL,
      registry_role text,
      password_hash text,
      password_generation integer NOT NULL DEFAULT 0,
      disabled boolean NOT NULL DEFAULT false,
      expires_at timestamptz,
      created_at timestamptz NOT NULL DEFAULT now(),
      created_by text,
      deleted_at timestamptz,
      CONSTRAINT accounts_pkey PRIMARY KEY (id),
      CONSTRAINT accounts_name_key UNIQUE (name),
      CONSTRAINT accounts_name_check CHECK (${NAME_CHECK}),
      CONSTRAINT accounts_kind_check CHECK (kind IN ('user', 'robot')),
      CONSTRAINT accounts_registry_role_check CHECK (registry_role IN ('reader', 'admin')),
      CONSTRAINT accounts_robot_password_check CHECK (kind <> 'robot' OR password_hash IS NULL)
    )`,
  `CREATE TABLE groups (
      id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
      name text COLLATE "C" NOT NULL,
      description text NOT NULL DEFAULT '',
      created_at timestamptz NOT NULL DEFAULT now(),
      created_by text,
      CONSTRAINT groups_pkey PRIMARY KEY (id),
      CONSTRAINT groups_name_key UNIQUE (name),
      CONSTRAINT groups_name_check CHECK (${NAME_CHECK})
    )`,
  `CREATE TABLE group_members (
      group_id bigint NOT NULL,
      account_id bigint NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT group_members_pkey PRIMARY KEY (group_id, account_id),
      CONSTRAINT group_members_group_id_fkey FOREIGN KEY (group_id) REFERENCES groups (id) ON DELETE CASCADE,
      CONSTRAINT group_members_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts (id)
        ON DELETE CASCADE
    )`,
  `CREATE INDEX group_members_account_id_idx ON group_members (account_id)`,
  `CREATE TABLE grants (
      id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
      subject text NOT NULL,
      account_id bigint,
      group_id bigint,
      pattern text COLLATE "C" NOT NULL,
      role text NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      created_by text,
      CONSTRAINT grants_pkey PRIMARY KEY (id),
      CONSTRAINT grants_subject_check CHECK (subject IN ('account', 'group', 'signed-in', 'anonymous')),
      CONSTRAINT grants_account_check CHECK ((subject = 'account') = (account_id IS NOT NULL)),
      CONSTRAINT grants_group_check CHECK ((subject = 'group') = (group_id IS NOT NULL)),
      CONSTRAINT grants_role_check CHECK (role IN ('pull', 'push', 'maintain')),
      CONSTRAINT grants_anonymous_check CHECK (subject <> 'anonymous' OR role = 'pull'),
      CONSTRAINT grants_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE,
      CONSTRAINT grants_group_id_fkey FOREIGN KEY (group_id) REFERENCES groups (id) ON DELETE CASCADE
    )`,
  `CREATE UNIQUE INDEX grants_account_id_pattern_idx ON grants (account_id, pattern)
     WHERE account_id IS NOT NULL`,
  `CREATE UNIQUE INDEX grants_group_id_pattern_idx ON grants (group_id, pattern) WHERE group_id IS NOT NULL`,
  `CREATE UNIQUE INDEX grants_subject_pattern_idx ON grants (subject, pattern)
     WHERE account_id IS NULL AND group_id IS NULL`,
  `CREATE TABLE access_tokens (
      id text COLLATE "C" NOT NULL,
      account_id bigint NOT NULL,
      name text NOT NULL,
      sha256 bytea NOT NULL,
      ceiling text,
      expires_at timestamptz,
      last_used_at timestamptz,
      revoked_at timestamptz,
      created_at timestamptz NOT NULL DEFAULT now(),
      created_by text,
      CONSTRAINT access_tokens_pkey PRIMARY KEY (id),
      CONSTRAINT access_tokens_ceiling_check CHECK (ceiling = 'pull'),
      CONSTRAINT access_tokens_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts (id)
        ON DELETE CASCADE
    )`,
  `CREATE INDEX access_tokens_account_id_id_idx ON access_tokens (account_id, id)`,
  raisesEpoch('accounts', 'name, kind, registry_role, password_generation, disabled, expires_at, deleted_at'),
  raisesEpoch('groups', 'name'),
  raisesEpoch('group_members'),
  raisesEpoch('grants'),
  raisesEpoch('access_tokens', 'account_id, sha256, ceiling, expires_at, revoked_at'),
];

const DOWN = [
  `DROP TABLE access_tokens`,
  `DROP TABLE grants`,
  `DROP TABLE group_members`,
  `DROP TABLE groups`,
  `DROP TABLE accounts`,
  `DROP FUNCTION raise_access_epoch`,
  `DROP TABLE access_state`,
];

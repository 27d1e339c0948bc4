/** The account and the group with as many grants as are allowed; the group has many members, too. */
export const GREAT_ACCOUNT = 'account-1';
export const GREAT_GROUP = 'group-1';
/** Who deletes all the time, where it does, and how many other events there are for each of its. */
export const BUSY_ACTOR = 'account-2';
const OTHERS = 20;

const OWN_GRANTS = 500;
const MEMBERS = 1_000;

/** Accounts, groups, grants and the audit log, at a scale as `sizesAt` has it. */
export function accessStatements(scale: number, bigRepository: string): string[] {
  const [accounts, groups, events] = [20_000, 4_000, 100_000].map((count) => Math.round(count * scale));
  return [
    `INSERT INTO accounts (name, kind, registry_role)
     SELECT 'account-' || n, CASE WHEN n % 3 = 0 THEN 'robot' ELSE 'user' END,
            CASE WHEN n % 1000 = 0 THEN 'reader' END
       FROM generate_series(1, ${accounts}) AS n`,
    `INSERT INTO groups (name) SELECT 'group-' || n FROM generate_series(1, ${groups}) AS n`,
    `INSERT INTO group_members (group_id, account_id)
     SELECT id, n FROM generate_series(1, ${MEMBERS}) AS n, groups WHERE name = '${GREAT_GROUP}'
      UNION
     SELECT 1 + n::bigint * 7919 % ${groups}, n FROM generate_series(1, ${accounts}) AS n`,
    `INSERT INTO grants (subject, account_id, pattern, role)
     SELECT 'account', n, format('team-%s/**', n % 97), 'push' FROM generate_series(1, ${accounts}) AS n
      UNION ALL
     SELECT 'account', 1, 'own/app-' || n, 'pull' FROM generate_series(1, ${OWN_GRANTS}) AS n`,
    `INSERT INTO grants (subject, group_id, pattern, role)
     SELECT 'group', n, 'shared/group-' || n, 'pull' FROM generate_series(1, ${groups}) AS n
      UNION ALL
     SELECT 'group', 1, 'great/app-' || n, 'pull' FROM generate_series(1, ${OWN_GRANTS / 2}) AS n`,
    `INSERT INTO grants (subject, pattern, role)
     VALUES ('signed-in', 'public/**', 'pull'), ('anonymous', 'open', 'pull')`,
    `INSERT INTO access_tokens (id, account_id, name, sha256)
     SELECT 'secret' || n, n, 'seeded', '\\x00' FROM generate_series(1, ${accounts}) AS n`,
    `INSERT INTO audit_events (action, actor, subject, repository, happened_at)
     SELECT CASE WHEN n % ${OTHERS} = 0 THEN 'blob.delete'
                 ELSE (ARRAY['login', 'login.failure', 'grant.create', 'grant.delete',
                             'account.create'])[1 + n % 5] END,
            CASE WHEN n % ${OTHERS} = 0 THEN '${BUSY_ACTOR}' ELSE 'account-' || n % ${accounts} END,
            'subject-' || n, CASE WHEN n % ${OTHERS} = 0 THEN '${bigRepository}' END,
            now() - n * interval '1 minute'
       FROM generate_series(1, ${events}) AS n`,
  ];
}

/**
 * A thousand grants reach it: ten of its own, twenty of each of its 49 groups, and ten of everybody, two of
 * which are in `seed-access.ts`. Half of them match nothing.
 */
export const FAR_REACHING = 'far-reaching';
const FAR_GROUPS = 49;
const GRANTS_OF_GROUP = 20;
/** From here many names have failed, which have logged in before. */
export const BUSY_NETWORK = '10.9.9.9';
/** With many secrets. */
export const ROBOT = 'account-600';
/** There are as many repositories of each of so many prefixes. */
const PREFIXES = 1_000;

const prefix = (n: string) => `lpad((${n})::text, 4, '0')`;

/** What a grant is for: an exact name, all below a name, and either of these that matches nothing. */
const pattern = (n: string) => `
  CASE ${n} % 4 WHEN 0 THEN format('wide/%s/app-%s', ${prefix(n)}, ${n})
                WHEN 1 THEN format('wide/%s/**', ${prefix(n)})
                WHEN 2 THEN format('none/%s/**', ${n})
                ELSE format('wide/%s/none', ${prefix(n)}) END`;

/**
 * Cheap repositories, an account that may pull some of them, logins, and failed logins.
 *
 * @param repositories how many there are before.
 */
export function loginStatements(repositories: number): string[] {
  const far = `(SELECT id FROM accounts WHERE name = '${FAR_REACHING}')`;
  return [
    `INSERT INTO repositories (id, name)
     SELECT ${repositories} + n, format('wide/%s/app-%s', ${prefix(`n % ${PREFIXES}`)}, n)
       FROM generate_series(1, 100000 - ${repositories}) AS n`,
    `INSERT INTO accounts (name, kind) VALUES ('${FAR_REACHING}', 'robot')`,
    `INSERT INTO accounts (name, kind, registry_role, disabled, deleted_at)
     SELECT 'former-' || n, 'user', CASE WHEN n % 2 = 0 THEN 'admin' END, n % 3 = 0, now()
       FROM generate_series(1, 20) AS n`,
    `INSERT INTO groups (name) SELECT 'far-' || n FROM generate_series(1, ${FAR_GROUPS}) AS n`,
    `INSERT INTO group_members (group_id, account_id)
     SELECT id, ${far} FROM groups WHERE name LIKE 'far-%'`,
    `INSERT INTO grants (subject, group_id, pattern, role)
     SELECT 'group', g.id, ${pattern(`(${GRANTS_OF_GROUP} * n + k)`)}, 'push'
       FROM generate_series(0, ${FAR_GROUPS - 1}) AS n JOIN groups g ON g.name = 'far-' || n + 1,
            generate_series(0, ${GRANTS_OF_GROUP - 1}) AS k`,
    `INSERT INTO grants (subject, account_id, pattern, role)
     SELECT 'account', ${far}, ${pattern('n')}, 'pull' FROM generate_series(980, 989) AS n`,
    `INSERT INTO grants (subject, pattern, role)
     SELECT 'signed-in', format('public/%s/**', n), 'pull' FROM generate_series(1, 8) AS n`,
    `INSERT INTO access_tokens (id, account_id, name, sha256, revoked_at)
     SELECT format('own%s', n), a.id, 'seeded', '\\x00',
            CASE WHEN n % 3 = 0 THEN now() - interval '40 days' END
       FROM generate_series(1, 140) AS n, accounts a WHERE a.name = '${ROBOT}'`,
    `INSERT INTO logins (account_id, network, credential, last_at)
     SELECT id, format('10.%s.%s.1', id % 7, id % 250), 'password', now() - id % 5 * interval '1 day'
       FROM accounts`,
    `INSERT INTO login_failures (network, name_hash, minute, failures, is_exempt)
     SELECT format('10.%s.%s.1', n % 7, n % 250), n,
            date_trunc('minute', now()) - n % 60 * interval '1 minute', 1, false
       FROM generate_series(1, 20000) AS n
      UNION ALL
     SELECT '${BUSY_NETWORK}', n, date_trunc('minute', now()) - n % 10 * interval '1 minute', 1, n >= 99
       FROM generate_series(1, 300) AS n`,
  ];
}

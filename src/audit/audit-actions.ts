/**
 * What the audit log records, and what each event is about: its `subject`. An action is `<kind>.<what>`, so
 * that all events of a kind can be listed. Actions are added, but not renamed: rows have them.
 */
export const AUDIT_ACTIONS = {
  'account.create': 'a user or robot was created; the subject is its name',
  'account.update': 'its registry role, expiry or whether it is disabled changed',
  'account.password': 'its password was set',
  'account.delete': 'it was deleted',
  'group.create': 'a group was created; the subject is its name',
  'group.update': 'its description changed',
  'group.delete': 'it was deleted, with its grants',
  'group.member.add': 'an account became a member; the subject is the group',
  'group.member.remove': 'an account is no longer a member; the subject is the group',
  'grant.create': 'a grant was created; the subject is who got it',
  'grant.update': 'the role of a grant changed; the subject is who has it',
  'grant.delete': 'a grant was deleted; the subject is who had it',
  'token.create': 'a secret was created; the subject is its account',
  'token.revoke': 'a secret was revoked; the subject is its account',
  login: 'somebody signed in; the subject is the account',
  'login.failure': 'an account could not sign in; the subject is the account',
  'manifest.delete': 'a manifest was deleted with its tags; the subject is its digest',
  'tag.delete': 'a tag was deleted; the subject is the tag',
  'repository.delete': 'a repository was deleted; the subject is its name',
  'blob.delete': 'a blob was removed from a repository; the subject is its digest',
  'deletion.restore':
    'what a deletion deleted was restored; the subject is its tag, its digest, or the name of the repository',
  'deletion.purge': 'a deletion shall be purged at once; the subject is as of deletion.restore',
  'blob.mount': 'a blob of another repository became visible in this one; the subject is its digest',
  'job.run': 'a run of a background job was requested; the subject is the job',
  'job.stop': 'a run of a job was asked to stop; the subject is the job',
  'job.pause': 'a job was paused; the subject is the job',
  'job.resume': 'a paused job may run again; the subject is the job',
} as const;

export type AuditAction = keyof typeof AUDIT_ACTIONS;

/** The first parts of actions. */
export const AUDIT_KINDS = [
  ...new Set(Object.keys(AUDIT_ACTIONS).map((action) => action.replace(/\..*/, ''))),
];

/** The actions that are `prefix` or begin with it and a dot: `group` means `group.create`, … */
export function actionsOf(prefix: string): AuditAction[] {
  const actions = Object.keys(AUDIT_ACTIONS) as AuditAction[];
  return actions.filter((action) => action === prefix || action.startsWith(`${prefix}.`));
}

const REPOSITORIES_PER_ORGANISATION = 100;

/** The tags of the repository that has many: in the order of bytes. */
export function tagNames(count: number): string[] {
  return Array.from({ length: count }, (_, n) => `v${padded(n, 6)}`);
}

/** Names of many repositories, a hundred to an organisation: in the order of bytes, and before all that the cases make. */
export function repositoryNames(count: number): string[] {
  return Array.from({ length: count }, (_, n) => {
    const organisation = padded(Math.floor(n / REPOSITORIES_PER_ORGANISATION), 4);
    return `acme-${organisation}/app-${padded(n % REPOSITORIES_PER_ORGANISATION, 3)}`;
  });
}

function padded(n: number, digits: number): string {
  return `${n}`.padStart(digits, '0');
}

const REPOSITORIES_PER_ORGANISATION = 100;

/** Tags of the repository with many tags, in byte order. */
export function tagNames(count: number): string[] {
  return Array.from({ length: count }, (_, n) => `v${padded(n, 6)}`);
}

/** Names of many repositories, a hundred per organisation, in byte order and before those of the cases. */
export function repositoryNames(count: number): string[] {
  return Array.from({ length: count }, (_, n) => {
    const organisation = padded(Math.floor(n / REPOSITORIES_PER_ORGANISATION), 4);
    return `acme-${organisation}/app-${padded(n % REPOSITORIES_PER_ORGANISATION, 3)}`;
  });
}

function padded(n: number, digits: number): string {
  return `${n}`.padStart(digits, '0');
}

import { NameInvalidError } from './errors.js';

declare const brand: unique symbol;

/** A repository's name, the spec's `<name>`: lower case, any depth, 1 to 255 characters. */
export type RepositoryName = string & { readonly [brand]: 'RepositoryName' };

export const MAX_REPOSITORY_NAME_LENGTH = 255;

// The spec's expression. It matches in linear time, because separators and alphanumerics share no character.
const COMPONENT = '[a-z0-9]+(?:(?:\\.|__?|-+)[a-z0-9]+)*';
const REPOSITORY_NAME = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);

/**
 * Parses `<name>` (distribution-spec, "Pulling manifests"). Clients have the same limit of 255.
 *
 * @throws NameInvalidError if the text is empty, too long or breaks the grammar.
 */
export function parseRepositoryName(text: string): RepositoryName {
  if (text.length > MAX_REPOSITORY_NAME_LENGTH) {
    throw new NameInvalidError(`a repository name has at most ${MAX_REPOSITORY_NAME_LENGTH} characters`);
  }
  if (!REPOSITORY_NAME.test(text)) {
    throw new NameInvalidError(
      'invalid repository name: expected components of a-z and 0-9, separated by "/"; ' +
        'inside a component, ".", "_", "__" or dashes may join the parts',
      { detail: { name: text } },
    );
  }
  return text as RepositoryName;
}

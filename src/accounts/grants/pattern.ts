import { BadRequestException } from '@nestjs/common';
import { RegistryError } from '../../oci/errors.js';
import { parseRepositoryName } from '../../oci/repository-name.js';

declare const brand: unique symbol;

/**
 * The repositories of a grant. There are three forms:
 *
 * - `a/b`: the repository `a/b`
 * - `a/b/**`: every repository below `a/b`, but not `a/b` itself
 * - `**`: every repository
 *
 * So each pattern is one range of names in byte order, and a list of what a caller may pull is an index scan.
 */
export type Pattern = string & { readonly [brand]: 'Pattern' };

/** The pattern of all names. */
export const EVERYTHING = '**';
/** Ends a pattern of all names below another. */
export const BELOW = '/**';

/** @throws BadRequestException for any other form. */
export function parsePattern(text: string): Pattern {
  const name = text.endsWith(BELOW) ? text.slice(0, -BELOW.length) : text;
  if (text !== EVERYTHING && !isName(name)) {
    throw new BadRequestException(
      'pattern: expected a repository (a/b), all repositories below a name (a/b/**), or ** for all',
    );
  }
  return text as Pattern;
}

function isName(text: string): boolean {
  try {
    parseRepositoryName(text);
    return true;
  } catch (error) {
    if (error instanceof RegistryError) return false;
    throw error;
  }
}

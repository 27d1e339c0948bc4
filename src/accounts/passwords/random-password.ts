import { randomInt } from 'node:crypto';

/** Digits and letters that nobody takes for another one. */
const CHARACTERS = '23456789abcdefghijkmnpqrstuvwxyz';
const GROUPS = 5;
const GROUP_LENGTH = 5;

/** A password with 125 random bits that can be read out and typed: `k3xqa-9hdmt-…`. */
export function randomPassword(): string {
  const character = () => CHARACTERS.charAt(randomInt(CHARACTERS.length));
  const group = () => Array.from({ length: GROUP_LENGTH }, character).join('');
  return Array.from({ length: GROUPS }, group).join('-');
}

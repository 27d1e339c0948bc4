import { ValidateBy } from 'class-validator';

/** Whether a text is an origin exactly as browsers send it: without a path, a default port or wildcards. */
function isOrigin(text: unknown): boolean {
  return (
    typeof text === 'string' &&
    /^https?:[^*]+$/.test(text) &&
    URL.canParse(text) &&
    new URL(text).origin === text
  );
}

/** A list of origins, or only `*`. */
export const AreOrigins = () =>
  ValidateBy({
    name: 'origins',
    validator: {
      validate: (value: unknown) =>
        Array.isArray(value) && ((value.length === 1 && value[0] === '*') || value.every(isOrigin)),
      defaultMessage: () =>
        'expected origins as browsers send them, such as https://ui.example.org, separated by commas, or *',
    },
  });

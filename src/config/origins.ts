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

/** One origin. */
export const IsOrigin = () =>
  ValidateBy({
    name: 'origin',
    validator: {
      validate: isOrigin,
      defaultMessage: () =>
        'expected a scheme and a host without a path, such as https://registry.example.org',
    },
  });

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

/** A list of origins of replicas. */
export const AreReplicas = () =>
  ValidateBy({
    name: 'replicas',
    validator: {
      validate: (value: unknown) => Array.isArray(value) && value.every(isOrigin),
      defaultMessage: () =>
        'expected origins of replicas, such as http://10.0.0.1:5000, separated by commas, without a path',
    },
  });

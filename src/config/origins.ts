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

/** A list of origins of replicas. A slash at the end is no path. */
export const AreReplicas = () =>
  ValidateBy({
    name: 'replicas',
    validator: {
      validate: (value: unknown) => Array.isArray(value) && value.every(isReplica),
      defaultMessage: (context) => {
        const entries: readonly unknown[] = Array.isArray(context?.value) ? context.value : [];
        const index = entries.findIndex((entry) => !isReplica(entry));
        return (
          'expected origins of replicas, such as http://10.0.0.1:5000, separated by commas, without a path; ' +
          `number ${index + 1} is ${nameOf(entries[index])}`
        );
      },
    },
  });

function isReplica(text: unknown): boolean {
  return typeof text === 'string' && isOrigin(text.replace(/\/$/, ''));
}

/** For a message, which must not have a password. */
function nameOf(entry: unknown): string {
  if (entry === '') return 'empty';
  return typeof entry === 'string' && /^[\w.:/[\]*-]+$/.test(entry) ? entry : 'not one';
}

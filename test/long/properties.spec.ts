/**
 * Runs the property tests three times as long as the default run, with another seed. For new seeds, set
 * PROPERTY_SEED; for longer runs, PROPERTY_RUNS.
 */
process.env['PROPERTY_RUNS'] ??= '3';
process.env['PROPERTY_SEED'] ??= '2015';
await import('../property/body-streams.spec.js');
await import('../property/front-pulls.spec.js');
await import('../property/front-uploads.spec.js');
await import('../property/object-uploads.spec.js');
await import('../property/repeated-bodies.spec.js');
await import('../property/upload-races.spec.js');
await import('../property/upload-sessions.spec.js');
export {};

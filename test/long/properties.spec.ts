import './more-runs.js';

// With another seed than the default run. For new seeds, set PROPERTY_SEED; for longer runs, PROPERTY_RUNS.
await import('../property/body-streams.spec.js');
await import('../property/object-uploads.spec.js');
await import('../property/repeated-bodies.spec.js');
await import('../property/upload-races.spec.js');
await import('../property/upload-sessions.spec.js');

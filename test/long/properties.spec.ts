/** Runs the property tests ten times as long, and with a new seed each time. */
process.env['PROPERTY_RUNS'] ??= '10';
await import('../property/object-uploads.spec.js');
await import('../property/upload-races.spec.js');
await import('../property/upload-sessions.spec.js');
export {};

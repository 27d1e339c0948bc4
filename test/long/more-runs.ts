/** Runs the property tests three times as long as the default run, with another seed. */
process.env['PROPERTY_RUNS'] ??= '3';
process.env['PROPERTY_SEED'] ??= '2015';

import './more-runs.js';

await import('../property/front-pulls.spec.js');
await import('../property/front-uploads.spec.js');

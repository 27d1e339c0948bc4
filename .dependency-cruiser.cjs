// The arrows of docs/architecture.md. A folder may import from the folders named beside it, and from itself.
const BASE = ['config', 'common', 'oci', 'observability'];
const ALLOWED = {
  common: [],
  oci: [],
  config: ['common', 'oci'],
  observability: ['config', 'common', 'oci'],
  'embedded-postgres': ['common'],
  database: ['embedded-postgres', ...BASE],
  storage: BASE,
  maintenance: ['database', ...BASE],
  events: ['maintenance', 'database', ...BASE],
  'storage-identity': ['maintenance', 'storage', 'database', ...BASE],
  transfer: ['storage', 'database', ...BASE],
  access: ['database', ...BASE],
  repositories: ['database', ...BASE],
  blobs: ['repositories', 'storage-identity', 'storage', 'database', ...BASE],
  manifests: ['events', 'blobs', 'repositories', 'storage', 'database', ...BASE],
  uploads: ['events', 'transfer', 'maintenance', 'blobs', 'storage-identity', 'storage', 'database', ...BASE],
  home: ['access', ...BASE],
  health: ['access', 'storage-identity', 'storage', 'database', ...BASE],
  http: [
    'access',
    'transfer',
    'uploads',
    'manifests',
    'blobs',
    'repositories',
    'storage',
    'database',
    ...BASE,
  ],
  admin: [
    'access',
    'uploads',
    'manifests',
    'blobs',
    'repositories',
    'events',
    'storage',
    'database',
    ...BASE,
  ],
  boot: [
    ...[
      'http',
      'admin',
      'health',
      'access',
      'uploads',
      'events',
      'maintenance',
      'storage-identity',
      'storage',
      'database',
    ],
    ...['embedded-postgres', ...BASE],
  ],
};

const arrows = Object.entries(ALLOWED).map(([folder, allowed]) => ({
  name: `${folder}-arrows`,
  comment: `src/${folder} may import from: ${allowed.join(', ') || 'nothing of Berth'}`,
  severity: 'error',
  from: { path: `^src/${folder}/`, pathNot: '\\.spec\\.ts$' },
  // The composition root is beside the folders; only boot starts it.
  to: {
    path: '^src/',
    pathNot: `^src/((${[folder, ...allowed].join('|')})/${folder === 'boot' ? '|app\\.module' : ''})`,
  },
}));

module.exports = {
  forbidden: [
    ...arrows,
    {
      name: 'known-folders',
      comment: 'A new folder of src needs its line in the table above.',
      severity: 'error',
      from: { path: `^src/(?!(${Object.keys(ALLOWED).join('|')})/)[^/]+/` },
      to: {},
    },
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'oci-is-pure',
      comment: 'src/oci has no Nest and no I/O.',
      severity: 'error',
      from: { path: '^src/oci/', pathNot: '\\.spec\\.ts$' },
      to: { dependencyTypes: ['npm', 'npm-dev', 'npm-optional'] },
    },
    {
      name: 'oci-without-io',
      severity: 'error',
      from: { path: '^src/oci/', pathNot: '\\.spec\\.ts$' },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?(buffer|crypto)$' },
    },
    {
      name: 'drivers-are-private',
      comment: 'Only the storage module knows which drivers there are; drivers do not know each other.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/storage/(drivers/|storage\\.module\\.ts$)|\\.spec\\.ts$' },
      to: { path: '^src/storage/drivers/' },
    },
    {
      name: 'one-driver-one-folder',
      severity: 'error',
      from: { path: '^src/storage/drivers/([^/]+)/' },
      to: { path: '^src/storage/drivers/[^/]+/', pathNot: '^src/storage/drivers/$1/' },
    },
    ...[
      ['s3', '@aws-sdk|@smithy'],
      ['azure', '@azure'],
      ['gcs', '@google-cloud|google-auth-library'],
    ].map(([driver, scopes]) => ({
      name: `${driver}-sdk-stays-in-its-driver`,
      severity: 'error',
      from: { path: '^src/', pathNot: `^src/storage/drivers/${driver}/` },
      to: { path: `node_modules/(${scopes})/` },
    })),
    {
      name: 'no-tests-in-src',
      severity: 'error',
      from: { path: '^src/', pathNot: '\\.spec\\.ts$' },
      to: { path: '^test/' },
    },
    {
      name: 'e2e-talks-http',
      comment: 'End-to-end tests know the built program by its HTTP, rows, files and log alone.',
      severity: 'error',
      from: { path: '^test/e2e/' },
      to: {
        path: '^(src/|test/(?!e2e/|support/)|test/support/test-(berth|data-source)\\.ts$|node_modules/(@nestjs|typeorm)/)',
      },
    },
    {
      name: 'bench-stands-outside',
      comment: 'It measures Berth as an operator sees it, over HTTP, whatever build it is given.',
      severity: 'error',
      from: { path: '^bench/' },
      to: { path: '^(src|test)/' },
    },
    {
      name: 'no-bench-in-the-product',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^bench/' },
    },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default'],
    },
  },
};

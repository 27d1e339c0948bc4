import { describe, expect, it } from '@jest/globals';
import { loadConfiguration } from './load-configuration.js';
import { describeUnknownNames, describeUnusedStores, mistypedNames } from './setting-names.js';

describe('a mistyped name', () => {
  it.each([
    ['STORAGE_DRVER', 'STORAGE_DRIVER'],
    ['STORAGE_DIRVER', 'STORAGE_DRIVER'],
    ['STROAGE_DRVER', 'STORAGE_DRIVER'],
    ['STORAGE-DRIVER', 'STORAGE_DRIVER'],
    ['STORAGE_S3_BUKET', 'STORAGE_S3_BUCKET'],
    ['STORAGE_AZURE_CONTAINERS', 'STORAGE_AZURE_CONTAINER'],
    ['LOG_LEVL', 'LOG_LEVEL'],
    ['LOGLEVEL', 'LOG_LEVEL'],
    ['log_level', 'LOG_LEVEL'],
    ['DATABASE_URI', 'DATABASE_URL'],
    ['DATABSE_ULR', 'DATABASE_URL'],
    ['DATADIR', 'DATA_DIR'],
    ['DATA_DIRS', 'DATA_DIR'],
    ['DATA_DRI', 'DATA_DIR'],
    ['WORKER', 'WORKERS'],
    ['PROT', 'PORT'],
    ['HSOT', 'HOST'],
    ['ACESS_MODE', 'ACCESS_MODE'],
  ])('%s stops the start, which names %s and no value', (name, known) => {
    const start = () => loadConfiguration({ [name]: 'sesame' });
    expect(start).toThrow(`${name} (expected ${known})`);
    expect(start).not.toThrow('sesame');
    expect(describeUnknownNames({ [name]: 'sesame' })).toBeUndefined();
  });

  it('is reported together with the others', () => {
    expect(() => loadConfiguration({ LOG_LEVL: 'debug', STORAGE_DRVER: 's3' })).toThrow(
      'Berth has no setting LOG_LEVL (expected LOG_LEVEL), STORAGE_DRVER (expected STORAGE_DRIVER): ' +
        'correct the name, or unset it.',
    );
  });

  it('is only named in a warning if the setting is set, too', () => {
    const environment = {
      DATABASE_URL: 'postgres://u@h/d',
      DATABASE_URI: 'sesame',
      DATABASE_URL_2: 'sesame',
    };
    expect(loadConfiguration(environment).databaseUrl).toBe('postgres://u@h/d');
    expect(describeUnknownNames(environment)).toMatch(/: DATABASE_URI, DATABASE_URL_2\.$/);
  });

  it('does not matter if the variable is empty', () => {
    expect(loadConfiguration({ LOG_LEVL: '' }).logLevel).toBe('info');
  });
});

/** What a Kubernetes pod gets for a service of this name with a port, and Docker for a link. */
const injected = (service: string, port: number) => ({
  [`${service}_SERVICE_HOST`]: '10.0.0.12',
  [`${service}_SERVICE_PORT`]: String(port),
  [`${service}_SERVICE_PORT_MAIN`]: String(port),
  [`${service}_PORT`]: `tcp://10.0.0.12:${port}`,
  [`${service}_PORT_${port}_TCP`]: `tcp://10.0.0.12:${port}`,
  [`${service}_PORT_${port}_TCP_PROTO`]: 'tcp',
  [`${service}_PORT_${port}_TCP_PORT`]: String(port),
  [`${service}_PORT_${port}_TCP_ADDR`]: '10.0.0.12',
  [`${service}_NAME`]: '/registry/other',
  [`${service}_ENV_PG_VERSION`]: '18.1',
});

const SHELL = {
  ...{ HOME: '/root', LOGNAME: 'root', USER: 'root', SHELL: '/bin/zsh', PATH: '/bin', PWD: '/', OLDPWD: '/' },
  ...{ SHLVL: '1', TERM: 'xterm', LANG: 'C.UTF-8', LC_ALL: 'C', TZ: 'UTC', EDITOR: 'vi', _: '/usr/bin/env' },
  ...{ HOSTNAME: 'registry', HOSTTYPE: 'x86_64', MACHTYPE: 'x86_64', OSTYPE: 'linux', VENDOR: 'apple' },
  ...{ SSH_CLIENT: '::1', SSH_TTY: '/dev/pts/0', DISPLAY: ':0', XDG_DATA_DIRS: '/usr/share', COLUMNS: '80' },
};
const NODE = {
  ...{ NODE_ENV: 'production', NODE_OPTIONS: '--enable-source-maps', NODE_EXTRA_CA_CERTS: '/ca.pem' },
  ...{ UV_THREADPOOL_SIZE: '16', NODE_VERSION: '24.1.0', YARN_VERSION: '1.22.22', NVM_DIR: '/root/.nvm' },
  ...{ npm_config_loglevel: 'warn', npm_package_name: 'berth', npm_lifecycle_event: 'start', INIT_CWD: '/' },
  ...{ npm_config_cache: '/c', npm_config_user_agent: 'npm', npm_execpath: '/npm', npm_command: 'start' },
  ...{ FORCE_COLOR: '1', NO_COLOR: '1', DEBUG: '*', JEST_WORKER_ID: '1' },
};
const SDKS = {
  ...{ AWS_REGION: 'eu-central-1', AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'key', AWS_PROFILE: 'a' },
  ...{ AWS_ENDPOINT_URL: 'http://s3', AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://c', AZURE_CLIENT_ID: 'a' },
  ...{ AZURE_STORAGE_CONNECTION_STRING: 'a=b', GOOGLE_APPLICATION_CREDENTIALS: '/key.json' },
  ...{ STORAGE_EMULATOR_HOST: 'http://gcs', GOOGLE_CLOUD_PROJECT: 'p', PGHOST: 'db', PGPORT: '5432' },
  ...{ PGDATA: '/pg', PGUSER: 'berth', PGPASSWORD: 'sesame', PGDATABASE: 'berth', PGSSLMODE: 'require' },
  ...{ HTTP_PROXY: 'http://p', https_proxy: 'http://p', NO_PROXY: 'db', OTEL_EXPORTER_OTLP_ENDPOINT: 'x' },
};

/** What no start may stop at, and what the warning must say. */
const ENVIRONMENTS: [string, NodeJS.ProcessEnv, RegExp?][] = [
  ['a shell', SHELL],
  [
    'a shell of macOS',
    {
      ...{ ...SHELL, __CF_USER_TEXT_ENCODING: '0x1F5', XPC_SERVICE_NAME: '0', TMPDIR: '/var/folders/x' },
      ...{
        TERM_PROGRAM: 'iTerm.app',
        COMMAND_MODE: 'unix2003',
        SECURITYSESSIONID: 'a',
        LaunchInstanceID: 'b',
      },
      ...{ SSH_AUTH_SOCK: '/private/tmp', COLORFGBG: '7;0', HOMEBREW_PREFIX: '/opt/homebrew', MANPATH: ':' },
    },
  ],
  ['npm and Node', { ...SHELL, ...NODE }],
  ['SDKs and node-postgres', SDKS],
  ...['DATABASE', 'STORAGE', 'LOG', 'DATA', 'UPLOAD', 'MANIFEST', 'HOST', 'ACCESS', 'BERTH', 'WORKERS'].map(
    (service): [string, NodeJS.ProcessEnv] => [
      `Kubernetes with a service ${service.toLowerCase()}`,
      {
        KUBERNETES_SERVICE_HOST: '10.0.0.1',
        KUBERNETES_PORT: 'tcp://10.0.0.1:443',
        ...injected(service, 5432),
      },
    ],
  ),
  [
    'GitHub Actions',
    {
      ...{
        CI: 'true',
        GITHUB_ACTIONS: 'true',
        GITHUB_TOKEN: 'sesame',
        GITHUB_ACTOR: 'me',
        GITHUB_REF: 'main',
      },
      ...{ GITHUB_WORKSPACE: '/w', GITHUB_ENV: '/e', GITHUB_PATH: '/p', GITHUB_JOB: 'j', RUNNER_OS: 'Linux' },
      ...{ RUNNER_TEMP: '/t', RUNNER_ARCH: 'X64', RUNNER_TOOL_CACHE: '/c', RUNNER_WORKSPACE: '/w' },
      ...{ ACTIONS_RUNTIME_URL: 'https://a', ImageOS: 'ubuntu24', DEPLOYMENT_BASEPATH: '/opt/runner' },
    },
  ],
  [
    'GitLab CI',
    { CI: 'true', CI_REGISTRY: 'r', CI_REGISTRY_PASSWORD: 'sesame', CI_JOB_ID: '1', DOCKER_HOST: 'tcp://d' },
  ],
  [
    'systemd',
    {
      ...{
        INVOCATION_ID: 'a',
        JOURNAL_STREAM: '8:1',
        SYSTEMD_EXEC_PID: '1',
        MAINPID: '1',
        LOG_NAMESPACE: 'x',
      },
      ...{
        LISTEN_FDS: '1',
        LISTEN_PID: '1',
        NOTIFY_SOCKET: '/run/n',
        WATCHDOG_USEC: '1',
        MEMORY_PRESSURE_WATCH: '/',
      },
      ...{
        STATE_DIRECTORY: '/var/lib/berth',
        LOGS_DIRECTORY: '/var/log/berth',
        RUNTIME_DIRECTORY: '/run/berth',
      },
      ...{ CACHE_DIRECTORY: '/var/cache/berth', CREDENTIALS_DIRECTORY: '/run/credentials' },
    },
  ],
  [
    'docker compose, with the variables of its .env',
    {
      ...{
        HOSTNAME: '0f2a',
        COMPOSE_PROJECT_NAME: 'registry',
        POSTGRES_PASSWORD: 'sesame',
        POSTGRES_DB: 'b',
      },
      ...{ POSTGRES_USER: 'berth', TAG: '1', HTTPS_PORT: '443', PORTS: '5000:5000', HOSTS: 'a', POST: '1' },
    },
  ],
  [
    'a platform that describes its database',
    {
      ...{ DATABASE_HOST: 'db', DATABASE_PORT: '5432', DATABASE_NAME: 'berth', DATABASE_USER: 'berth' },
      ...{
        DATABASE_PASSWORD: 'sesame',
        DATABASE_SSL: 'true',
        DYNO: 'web.1',
        WEB_CONCURRENCY: '2',
        COST: '1',
      },
    },
    /DATABASE_HOST, DATABASE_PORT, DATABASE_NAME, DATABASE_USER, DATABASE_PASSWORD\.$/,
  ],
  [
    'programs with directories of their own',
    { JAVA_DIR: '/j', META_DIR: '/m', PGDATA_DIR: '/p', BETA_DIR: '/b' },
  ],
  [
    'podman’s storage',
    { STORAGE_OPTS: 'overlay.mount_program=/f', CONTAINERS_CONF: '/c', BUILDAH_ISOLATION: 'chroot' },
  ],
];

describe('the environment of', () => {
  it.each(ENVIRONMENTS.map(([title, environment, warns]) => ({ title, environment, warns })))(
    '$title stops no start',
    ({ environment, warns }) => {
      expect(mistypedNames(environment)).toEqual([]);
      const warning = describeUnknownNames(environment);
      if (warns === undefined) expect(warning).toBeUndefined();
      else expect(warning).toMatch(warns);
      expect(warning ?? '').not.toContain('sesame');
    },
  );
});

describe('names that begin like settings', () => {
  it('are named in a warning', () => {
    const environment = {
      UPLOAD_MAX: '1',
      BERTH_LOG_LEVEL: 'debug',
      STORAGE_ROOT: '/x',
      OTHER: '1',
      DATA_X: '',
    };
    expect(describeUnknownNames(environment)).toBe(
      'Variables that are no settings of Berth and have no effect: UPLOAD_MAX, BERTH_LOG_LEVEL, STORAGE_ROOT.',
    );
  });

  it('are named in a bounded number, if they are names', () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`STORAGE_OTHER_${n}`, '1']));
    const warning = describeUnknownNames({ ...many, 'STORAGE_\u001b[31m': '1' });
    expect(warning).toMatch(/STORAGE_OTHER_19 and 80 more\.$/);
  });
});

describe('settings of object stores', () => {
  const unused = (environment: NodeJS.ProcessEnv) =>
    describeUnusedStores(loadConfiguration(environment), environment);

  it('are named in a warning if their store is not in use', () => {
    expect(unused({ STORAGE_S3_BUCKET: 'layers', STORAGE_S3_REGION: '', STORAGE_GCS_BUCKET: 'layers' })).toBe(
      'Settings that have no effect with STORAGE_DRIVER=filesystem: STORAGE_GCS_BUCKET, STORAGE_S3_BUCKET.',
    );
  });

  it('are not named if it is', () => {
    expect(unused({ STORAGE_DRIVER: 's3', STORAGE_S3_BUCKET: 'layers', LOG_LEVEL: 'info' })).toBeUndefined();
  });
});

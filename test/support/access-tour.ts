import type { InteropBench } from './interop-bench.js';

/** How a client trusts a registry whose certificate is of an authority that it does not know. */
type Trust = 'certs.d' | 'SSL_CERT_FILE' | 'a flag';

/** The certificate of the registry's authority, in the home of the clients. */
export const CA_FILE = 'berth-ca.crt';

/** What a person types into a shell for each step. A step that a client does not have is undefined. */
export interface ClientCommands {
  readonly trust: Trust;
  /** Reads the password from its standard input. */
  readonly login: (user: string) => string;
  /** Whether `login` asks the registry. Other clients store the password, and fail later. */
  readonly asksAtLogin: boolean;
  readonly logout: string;
  readonly push?: (to: string) => string;
  readonly pull: (from: string) => string;
  /** Copies what one login may read to what another one may write. */
  readonly copy?: (from: string, to: string, logins?: CopyLogins) => string;
  readonly remove?: (reference: string) => string;
}

/** Whose name and password a client sends. */
export interface Person {
  readonly name: string;
  readonly password: string;
}

/** The logins of the two sides of a copy. */
interface CopyLogins {
  readonly from: Person;
  readonly to: Person;
}

/** What a test needs to know of where the commands run. */
type Place = Pick<InteropBench, 'registry' | 'layout' | 'home' | 'url'>;

/** Each is the name of the program, too. */
export type ClientName = keyof ReturnType<typeof clientsOf>;
export const CLIENT_NAMES: readonly ClientName[] = [
  ...(['skopeo', 'podman', 'buildah', 'crane', 'oras', 'helm', 'cosign', 'docker'] as const),
];

/** The clients, with their commands for a registry. `image` is an image in the layout. */
export function clientsOf({ registry, layout, home, url }: Place) {
  const plain = url.protocol === 'http:';
  const image = `oci:${layout.directory}:image`;
  const docker = (reference: string) => `docker://${registry}/${reference}`;
  const flag = (name: string) => (plain ? ` ${name}` : '');
  const noTls = flag('--tls-verify=false');
  const creds = (side: string, login: Person | undefined) =>
    login ? ` --${side}creds ${login.name}:${login.password}` : '';
  const anonymousTls = flag('--src-tls-verify=false') + flag('--dest-tls-verify=false');

  const engine = (program: string): ClientCommands => {
    const run = `${program} --storage-driver vfs`;
    const pullPolicy = program === 'buildah' ? ' --policy always' : '';
    const pull = (from: string, login?: Person) =>
      `${run} pull -q${pullPolicy}${noTls}${creds('', login)} ${registry}/${from}`;
    const push = (what: string, to: string, login?: Person) =>
      `${run} push${noTls}${creds('', login)} ${what} ${docker(to)}`;
    return {
      trust: 'certs.d',
      login: (user) => `${program} login${noTls} -u ${user} --password-stdin ${registry}`,
      asksAtLogin: true,
      logout: `${program} logout ${registry}`,
      // Of the registry: buildah reads no layout in a directory with capital letters.
      push: (to) => push(`$(${pull('open/app:1.2.3')})`, to),
      pull,
      copy: (from, to, logins) =>
        `${pull(from, logins?.from)} && ${push(`${registry}/${from}`, to, logins?.to)}`,
    };
  };
  const crane = `crane${flag('--insecure')}`;
  /** For oras and helm; a copy has one for each side. */
  const transport = (side = '') => (plain ? ` --${side}plain-http` : ` --${side}ca-file ${CA_FILE}`);
  const clients = {
    skopeo: {
      trust: 'certs.d',
      login: (user) => `skopeo login${noTls} -u ${user} --password-stdin ${registry}`,
      asksAtLogin: true,
      logout: `skopeo logout ${registry}`,
      push: (to) => `skopeo copy${anonymousTls} ${image} ${docker(to)}`,
      pull: (from) => `skopeo copy${anonymousTls} ${docker(from)} dir:${home.file('skopeo')}`,
      copy: (from, to, logins) =>
        `skopeo copy${anonymousTls}${creds('src-', logins?.from)}${creds('dest-', logins?.to)} ` +
        `${docker(from)} ${docker(to)}`,
      remove: (reference) => `skopeo delete${noTls} ${docker(reference)}`,
    },
    podman: engine('podman'),
    buildah: engine('buildah'),
    crane: {
      trust: 'SSL_CERT_FILE',
      login: (user) => `${crane} auth login -u ${user} --password-stdin ${registry}`,
      asksAtLogin: false,
      logout: `crane auth logout ${registry}`,
      push: (to) => `${crane} push --index ${layout.directory} ${registry}/${to}`,
      pull: (from) => `${crane} pull --format oci ${registry}/${from} ${home.file('crane')}`,
      // It looks for a login of the repository before that of the registry.
      copy: (from, to, logins) =>
        (logins ? `mkdir -p two && echo '${twoLogins(registry, from, logins)}' >two/config.json && ` : '') +
        `${logins ? 'DOCKER_CONFIG=two ' : ''}${crane} copy ${registry}/${from} ${registry}/${to}`,
      remove: (reference) => `${crane} delete ${registry}/${reference}`,
    },
    oras: {
      trust: 'a flag',
      login: (user) => `oras login${transport()} -u ${user} --password-stdin ${registry}`,
      asksAtLogin: true,
      logout: `oras logout ${registry}`,
      push: (to) =>
        `oras cp --from-oci-layout${transport('to-')} ${layout.directory}:image ${registry}/${to}`,
      pull: (from) =>
        `oras cp${transport('from-')} --to-oci-layout ${registry}/${from} ${home.file('oras')}:v1`,
      copy: (from, to, logins) =>
        `oras cp${transport('from-')}${transport('to-')}` +
        `${sideLogin('from', logins?.from)}${sideLogin('to', logins?.to)} ${registry}/${from} ${registry}/${to}`,
      remove: (reference) => `oras manifest delete -f${transport()} ${registry}/${reference}`,
    },
    helm: {
      trust: 'a flag',
      login: (user) => `helm registry login${transport()} -u ${user} --password-stdin ${registry}`,
      asksAtLogin: true,
      logout: `helm registry logout ${registry}`,
      // The chart's name and version become the last part of the repository's name, and the tag.
      push: (to) =>
        `helm push${transport()} app-1.2.3.tgz oci://${registry}/${to.replace(/\/app:1\.2\.3$/, '')}`,
      pull: (from) =>
        `helm pull${transport()} oci://${registry}/${from.replace(/:1\.2\.3$/, '')} --version 1.2.3`,
    },
    cosign: {
      trust: 'SSL_CERT_FILE',
      login: (user) => `cosign login -u ${user} --password-stdin ${registry}`,
      asksAtLogin: false,
      // It has no command of its own.
      logout: 'echo {} >.docker/config.json',
      push: (to) =>
        'COSIGN_PASSWORD= cosign sign --yes --key cosign.key --use-signing-config=false --tlog-upload=false' +
        `${flag('--allow-http-registry')} ${registry}/${to}`,
      pull: (from) => `cosign tree${flag('--allow-http-registry')} ${registry}/${from}`,
    },
    docker: {
      trust: 'SSL_CERT_FILE',
      login: (user) => `docker login -u ${user} --password-stdin ${registry}`,
      asksAtLogin: true,
      logout: `docker logout ${registry}`,
      // Without a daemon the program reads and writes manifests only.
      push: (to) =>
        `docker manifest create --amend${flag('--insecure')} ${registry}/${to}-list ${registry}/${to} && ` +
        `docker manifest push${flag('--insecure')} ${registry}/${to}-list`,
      pull: (from) => `docker manifest inspect${flag('--insecure')} ${registry}/${from}`,
    },
  } satisfies Record<string, ClientCommands>;
  return clients;
}

function sideLogin(side: 'from' | 'to', login: Person | undefined): string {
  return login === undefined ? '' : ` --${side}-username ${login.name} --${side}-password ${login.password}`;
}

/** A configuration of Docker with a login of one repository, and one of all others. */
function twoLogins(registry: string, from: string, logins: CopyLogins): string {
  const auth = ({ name, password }: Person) => ({
    auth: Buffer.from(`${name}:${password}`).toString('base64'),
  });
  const source = `${registry}/${from.replace(/:.*/, '')}`;
  return JSON.stringify({ auths: { [registry]: auth(logins.to), [source]: auth(logins.from) } });
}

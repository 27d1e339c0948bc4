import type { ToolHome } from '../support/registry-tool.js';
import { type BigImage, IMAGE_NAME } from './big-image.js';
import type { ContainerDaemons } from './container-daemons.js';

export const CLIENT_NAMES = ['docker', 'containerd', 'podman', 'buildah', 'skopeo', 'crane', 'oras'] as const;
export type ClientName = (typeof CLIENT_NAMES)[number];

/** What clients work with. */
export interface ClientBench {
  readonly home: ToolHome;
  readonly image: BigImage;
  readonly daemons: ContainerDaemons;
}

/** How a client pushes the image. */
export interface PushClient {
  /** What it runs. */
  readonly programs: readonly string[];
  /** Whether it needs daemons, which need root. */
  readonly needsRoot?: boolean;
  /** Gets the image into its store, if it has one. Once. */
  prepare?(bench: ClientBench): Promise<unknown>;
  /** Lines of a shell that push to a reference, `host:port/name:tag`. */
  push(reference: string, bench: ClientBench): Promise<string> | string;
}

const LOCAL_NAME = 'localhost/big:v1';
export const PUSH_CLIENTS: Readonly<Record<ClientName, PushClient>> = {
  docker: {
    programs: ['dockerd', 'docker', 'containerd', 'ctr'],
    needsRoot: true,
    prepare: async ({ home, image, daemons }) =>
      home.run('docker', ['-H', await daemons.dockerHost(), 'import', image.archive, IMAGE_NAME]),
    push: async (reference, { daemons }) => {
      const docker = `docker -H ${await daemons.dockerHost()}`;
      return `${docker} tag ${IMAGE_NAME} ${reference}; ${docker} push ${reference}`;
    },
  },
  containerd: {
    programs: ['containerd', 'ctr'],
    needsRoot: true,
    prepare: async ({ home, image, daemons }) => {
      const args = ['-a', await daemons.containerdSocket(), 'images', 'import', '--no-unpack'];
      return home.run('ctr', [...args, image.layoutArchive]);
    },
    push: async (reference, { daemons }) => {
      const images = `ctr -a ${await daemons.containerdSocket()} images`;
      return `${images} tag ${IMAGE_NAME} ${reference}; ${images} push --plain-http ${reference}`;
    },
  },
  podman: {
    programs: ['podman'],
    prepare: ({ home, image }) => home.run('podman', ['import', image.archive, LOCAL_NAME]),
    push: (reference) => `podman push --tls-verify=false ${LOCAL_NAME} docker://${reference}`,
  },
  buildah: {
    programs: ['buildah', 'skopeo'],
    prepare: ({ home, image }) =>
      home.run('skopeo', ['copy', `oci:${image.layout}:image`, `containers-storage:${LOCAL_NAME}`]),
    push: (reference) => `buildah push --tls-verify=false ${LOCAL_NAME} docker://${reference}`,
  },
  skopeo: {
    programs: ['skopeo'],
    push: (reference, { image }) =>
      `skopeo copy --dest-tls-verify=false oci:${image.layout}:image docker://${reference}`,
  },
  crane: {
    programs: ['crane'],
    push: (reference, { image }) => `crane push --insecure ${image.layout} ${reference}`,
  },
  oras: {
    programs: ['oras'],
    push: (reference, { image }) =>
      `oras cp --from-oci-layout --to-plain-http ${image.layout}:image ${reference}`,
  },
};

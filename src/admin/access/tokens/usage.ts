/** Lines to paste that sign a program in, one text per program. */
export interface Usage {
  readonly docker: string;
  readonly podman: string;
  readonly kubernetes: string;
  readonly githubActions: string;
}

/** Where the registry is. `host` is safe in a shell: see `registryAddress`. */
interface Address {
  readonly scheme: 'http' | 'https';
  readonly host: string;
}

/**
 * How programs sign in with a secret. The characters of names and of secrets need no quotes in a shell. In
 * YAML they do: a name can look like a number. Names of Kubernetes have no `_`, and end with a letter or a
 * digit.
 */
export function usageOf({ scheme, host: address }: Address, name: string, secret: string): Usage {
  // Brackets of IPv6 addresses are special in a shell.
  const host = address.startsWith('[') ? `'${address}'` : address;
  const flag = scheme === 'https' ? '' : ' --tls-verify=false';
  const kubernetesName = `berth-${name.replace(/[^a-z0-9]+/g, '-').replace(/-$/, '')}`;
  return {
    docker: `echo ${secret} | docker login ${host} --username ${name} --password-stdin`,
    podman: `echo ${secret} | podman login${flag} ${host} --username ${name} --password-stdin`,
    kubernetes: [
      `kubectl create secret docker-registry ${kubernetesName} --docker-server=${host} \\`,
      `  --docker-username=${name} --docker-password=${secret}`,
      '# In the pod, or in its service account:',
      '# imagePullSecrets:',
      `#   - name: ${kubernetesName}`,
    ].join('\n'),
    githubActions: [
      `# Once: echo ${secret} | gh secret set BERTH_TOKEN`,
      '- uses: docker/login-action@v3',
      '  with:',
      `    registry: '${address}'`,
      `    username: '${name}'`,
      '    password: ${{ secrets.BERTH_TOKEN }}',
    ].join('\n'),
  };
}

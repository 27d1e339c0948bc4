import { describe, expect, it } from '@jest/globals';
import { usageOf } from './usage.js';

const SECRET = 'berth_0123456789ab_key_sum';

describe('usageOf', () => {
  it('has a line to paste for each program', () => {
    const usage = usageOf({ scheme: 'https', host: 'registry.example' }, 'ci.build_', SECRET);
    expect(usage).toEqual({
      docker: `echo ${SECRET} | docker login registry.example --username ci.build_ --password-stdin`,
      podman: `echo ${SECRET} | podman login registry.example --username ci.build_ --password-stdin`,
      kubernetes: [
        'kubectl create secret docker-registry berth-ci-build --docker-server=registry.example \\',
        `  --docker-username=ci.build_ --docker-password=${SECRET}`,
        '# In the pod, or in its service account:',
        '# imagePullSecrets:',
        '#   - name: berth-ci-build',
      ].join('\n'),
      githubActions: [
        `# Once: echo ${SECRET} | gh secret set BERTH_TOKEN`,
        '- uses: docker/login-action@v3',
        '  with:',
        "    registry: 'registry.example'",
        "    username: 'ci.build_'",
        '    password: ${{ secrets.BERTH_TOKEN }}',
      ].join('\n'),
    });
  });

  it('lets podman use plain HTTP, and quotes the brackets of an address', () => {
    const { docker, podman, githubActions } = usageOf({ scheme: 'http', host: '[::1]:5000' }, 'ci', SECRET);
    expect(docker).toContain("docker login '[::1]:5000' --username");
    expect(podman).toContain("podman login --tls-verify=false '[::1]:5000' --username");
    expect(githubActions).toContain("registry: '[::1]:5000'");
  });
});

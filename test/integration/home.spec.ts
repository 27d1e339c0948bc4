import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { homePage } from '../support/home-page.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';

describe('GET / with ACCESS_MODE=open', () => {
  let open: TestBerth;
  beforeAll(async () => {
    open = await startTestBerth({ ACCESS_MODE: 'open', TRUSTED_PROXIES: '127.0.0.1' });
  });
  afterAll(() => open.dispose());

  it('names the address of the Host header', async () => {
    const page = await (await homePage(open.url, 'registry.example.com:8443')).text();
    expect(page).toContain('docker push registry.example.com:8443/demo/my-image');
    expect(page).toContain('"insecure-registries": ["registry.example.com:8443"]');
    expect(page).not.toContain('refused');
  });

  it.each(['$(reboot)', 'a;reboot', "a'b", 'a&b', '!!'])(
    'does not take commands from the Host header: %s',
    async (hostile) => {
      const response = await homePage(open.url, hostile);
      expect(response.status).toBe(200);
      const page = await response.text();
      expect(page).not.toContain(hostile);
      expect(page).toContain(`docker push ${new URL(open.url).host}/demo/my-image`);
    },
  );

  it('believes a trusted proxy, but takes no commands from it', async () => {
    const pageWith = async (forwardedHost: string) => {
      const headers = { 'X-Forwarded-Host': forwardedHost, 'X-Forwarded-Proto': 'https' };
      return (await fetch(open.url, { headers })).text();
    };
    const page = await pageWith('registry.example.com');
    expect(page).toContain('docker push registry.example.com/demo/my-image');
    expect(page).toContain('podman push my-image registry.example.com/demo/my-image');
    expect(page).toContain('curl https://registry.example.com/v2/_catalog');
    expect(page).not.toContain('insecure-registries');
    expect(await pageWith('a;reboot')).not.toContain('reboot');
  });
});

describe('GET / with access control, over TLS', () => {
  let closed: TestBerth;
  beforeAll(async () => {
    closed = await startTestBerth({ ACCESS_MODE: 'token', TLS: 'auto', ADMIN_USERNAME: 'captain' });
  });
  afterAll(() => closed.dispose());

  it('says how to trust the registry and how to log in, and names no account', async () => {
    const page = await (await homePage(closed.url, 'nas.local:5000')).text();
    expect(page).toContain('Log in with the name of your account');
    expect(page).toContain('docker login nas.local:5000</pre>');
    expect(page).toContain('podman login nas.local:5000</pre>');
    expect(page).toContain(
      '<pre>sudo mkdir -p /etc/docker/certs.d/nas.local:5000\n' +
        'curl -fsSk https://nas.local:5000/auth/ca.crt | sudo tee /etc/docker/certs.d/nas.local:5000/ca.crt |\n' +
        '  openssl x509 -noout -fingerprint -sha256</pre>',
    );
    expect(page).toContain(
      'curl -u my-name --cacert /etc/docker/certs.d/nas.local:5000/ca.crt https://nas.local:5000/v2/_catalog',
    );
    expect(page).not.toMatch(/No login|refused|insecure-registries|tls-verify|captain/);
  });

  it('says it in JSON, too', async () => {
    const json = await homePage(closed.url, 'nas.local:5000', [['Accept', 'application/json']]);
    expect(await json.json()).toMatchObject({
      url: 'https://nas.local:5000/v2/',
      login: expect.stringContaining('Log in with the name of your account'),
    });
  });
});

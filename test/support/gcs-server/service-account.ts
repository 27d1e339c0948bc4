import { createPublicKey, createVerify, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';

/** https://developers.google.com/identity/protocols/oauth2/service-account#jwt-auth */
const MAX_TOKEN_SECONDS = 3600;
/** The audience that google-auth-library 9 signs for. */
const AUDIENCE = 'https://www.googleapis.com/oauth2/v4/token';
const SKEW_SECONDS = 300;

/** A service account: its key file, tokens and signatures. */
export class ServiceAccount {
  readonly email = 'berth@tests.iam.gserviceaccount.com';
  readonly publicKey: KeyObject;
  /** Shared, because it takes long to make. */
  private static key: string | undefined;
  private readonly privateKey: string;
  private readonly tokens = new Set<string>();

  constructor() {
    ServiceAccount.key ??= newKey();
    this.privateKey = ServiceAccount.key;
    this.publicKey = createPublicKey(this.privateKey);
  }

  /** As `gcloud iam service-accounts keys create` writes it. */
  keyFile(tokenUri: string): Record<string, string> {
    return {
      type: 'service_account',
      project_id: 'tests',
      private_key_id: '0123456789abcdef',
      private_key: this.privateKey,
      client_email: this.email,
      client_id: '1',
      token_uri: tokenUri,
    };
  }

  /**
   * Returns a token for a signed assertion, or Google's description of what is wrong with it.
   * https://developers.google.com/identity/protocols/oauth2/service-account#httprest
   */
  exchange(assertion: string): { access_token: string } | { error_description: string } {
    const [header = '', claims = '', signature = ''] = assertion.split('.');
    const verify = createVerify('RSA-SHA256').update(`${header}.${claims}`);
    const { iss, aud, iat, exp } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as {
      [name: string]: unknown;
    };
    if (iss !== this.email) return { error_description: 'Invalid grant: account not found' };
    if (!verify.verify(this.publicKey, Buffer.from(signature, 'base64url')))
      return { error_description: 'Invalid JWT Signature.' };
    const now = Date.now() / 1000;
    const [from, to] = [Number(iat), Number(exp)];
    const isTimely = from <= now + SKEW_SECONDS && to > now && to - from <= MAX_TOKEN_SECONDS;
    if (!isTimely || aud !== AUDIENCE) {
      return {
        error_description:
          'Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. ' +
          'Check your iat and exp values in the JWT claim.',
      };
    }
    const token = `ya29.${randomBytes(24).toString('base64url')}`;
    this.tokens.add(token);
    return { access_token: token };
  }

  hasToken(authorization: string | undefined): boolean {
    return this.tokens.has(/^Bearer (.+)$/.exec(authorization ?? '')?.[1] ?? '');
  }

  revokeTokens(): void {
    this.tokens.clear();
  }
}

function newKey(): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

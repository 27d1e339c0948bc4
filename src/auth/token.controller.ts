import { All, Body, Controller, Get, HttpCode, Post, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { Response } from 'express';
import { OpenToAll } from '../access/access.js';
import { UnauthorizedError } from '../access/access.errors.js';
import type { AuthorizedRequest } from '../access/access.guard.js';
import { Authenticator } from '../access/authenticator.js';
import { type Caller, callerOf } from '../access/caller.js';
import { clientOf } from '../access/request-origin.js';
import type { Login } from '../accounts/logins/login.js';
import { LoginService } from '../accounts/logins/login.service.js';
import { LiveRights } from '../accounts/rights/live-rights.js';
import { Configuration } from '../config/configuration.js';
import { MethodNotAllowedError } from '../oci/errors.js';
import type { ScopeAccess } from '../tokens/scope.js';
import { NoTokensError } from '../tokens/token.errors.js';
import { parseForm, requestedScopes, type TokenForm } from './token-request.js';
import { TokenService } from './token.service.js';

/**
 * Where clients exchange a password or a secret for a token (distribution, "Token Authentication
 * Specification"). Bodies and queries of these requests are never logged.
 */
@ApiExcludeController()
@Controller('auth/token')
@OpenToAll()
export class TokenController {
  constructor(
    private readonly configuration: Configuration,
    private readonly authenticator: Authenticator,
    private readonly logins: LoginService,
    private readonly rights: LiveRights,
    private readonly tokens: TokenService,
  ) {}

  /** With Basic, or without credentials for an anonymous token. */
  @Get()
  async get(@Req() request: AuthorizedRequest, @Res() response: Response): Promise<void> {
    this.refuseIfOpen();
    const scopes = requestedScopes(request.query);
    const caller = await this.authenticator.authenticate(request, { tokens: false });
    await this.issue(caller, scopes, request, response);
  }

  /** With a password, or with a secret as the refresh token. containerd and others use it. */
  @Post()
  @HttpCode(200)
  async post(
    @Body() form: unknown,
    @Req() request: AuthorizedRequest,
    @Res() response: Response,
  ): Promise<void> {
    this.refuseIfOpen();
    const credentials = parseForm(form);
    const scopes = requestedScopes(form);
    await this.issue(callerOf(await this.login(credentials, request)), scopes, request, response);
  }

  @All()
  others(): never {
    throw new MethodNotAllowedError('GET, HEAD, POST');
  }

  private refuseIfOpen(): void {
    if (this.configuration.access !== 'token') throw new NoTokensError();
  }

  private login(form: TokenForm, request: AuthorizedRequest): Promise<Login> {
    return form.grant === 'password'
      ? this.logins.login(form.username, form.password, clientOf(request))
      : this.logins.loginWithSecret(form.secret, clientOf(request));
  }

  private async issue(
    caller: Caller,
    scopes: readonly ScopeAccess[],
    request: AuthorizedRequest,
    response: Response,
  ): Promise<void> {
    request.caller = caller.credential.kind === 'none' ? await this.anonymous(caller) : caller;
    response.set('Cache-Control', 'no-store').json(await this.tokens.issue(request.caller, scopes));
  }

  /** A token without credentials needs an anonymous grant: without one, clients must be asked to log in. */
  private async anonymous(caller: Caller): Promise<Caller> {
    const grants = await this.rights.anonymous();
    if (grants.grants.length === 0) throw new UnauthorizedError('log in: there is no anonymous access');
    return { ...caller, grants };
  }
}

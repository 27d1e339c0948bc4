import { All, Controller, Get, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { OpenToAll } from '../access/access.js';
import { LoopbackPolicy } from '../access/loopback-policy.js';
import { VERSION } from '../common/version.js';
import { Configuration } from '../config/configuration.js';
import { MethodNotAllowedError } from '../oci/errors.js';
import { describeLogin, describeRefusal, HOME_PAGE_POLICY, renderHomePage } from './home-page.js';
import { publicAddress } from '../access/registry-address.js';

/**
 * The page at `/`, for a person who opens the registry's address in a browser. Programs that ask for JSON get
 * the same as JSON. Probes of load balancers get 200, whatever they accept.
 */
@ApiExcludeController()
@Controller()
@OpenToAll()
export class HomeController {
  constructor(
    private readonly loopback: LoopbackPolicy,
    private readonly configuration: Configuration,
  ) {}

  @Get()
  home(@Req() request: Request, @Res() response: Response): void {
    const address = publicAddress(request, this.configuration);
    const { access, tlsMode } = this.configuration;
    const login = describeLogin(address, access);
    const hasOwnAuthority = tlsMode === 'auto' && address.scheme === 'https';
    const reason = this.loopback.describeHostRefusal(request.headers.host);
    const refusal = reason === undefined ? undefined : describeRefusal(reason);
    response.set({
      // The address depends on headers that a shared cache may not know.
      'Cache-Control': 'no-store',
      Vary: 'Accept',
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
      'Content-Security-Policy': HOME_PAGE_POLICY,
    });
    if (request.accepts(['html', 'json']) !== 'json') {
      response
        .type('html')
        .send(renderHomePage({ address, version: VERSION, login, hasOwnAuthority, refusal }));
      return;
    }
    response.json({
      name: 'berth',
      version: VERSION,
      registry: address.host,
      url: `${address.scheme}://${address.host}/v2/`,
      ...(refusal === undefined ? { login: login.text } : { refused: refusal }),
      links: { swaggerUi: '/api/docs', openApi: '/api/docs-json', ready: '/health/ready' },
    });
  }

  @All()
  others(): never {
    throw new MethodNotAllowedError('GET, HEAD');
  }
}

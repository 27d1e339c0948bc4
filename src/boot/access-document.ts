import type { INestApplication } from '@nestjs/common';
import { MetadataScanner, ModulesContainer, Reflector } from '@nestjs/core';
import type { DocumentBuilder, OpenAPIObject } from '@nestjs/swagger';
import { ACCESS_REQUIREMENT, type AccessRequirement } from '../access/access.js';

/** The names of the security schemes. */
const [PASSWORD, SECRET] = ['password', 'secret'];

/** Where `@ApiOperation` keeps an operation. */
const API_OPERATION = 'swagger/apiOperation';

type Operation = NonNullable<OpenAPIObject['paths'][string]['get']>;

/** Declares the credentials that endpoints take. */
export function addCredentials(builder: DocumentBuilder): DocumentBuilder {
  return builder
    .addBasicAuth(
      { type: 'http', scheme: 'basic', description: 'The name of an account, with its password or a secret' },
      PASSWORD,
    )
    .addBearerAuth(
      {
        type: 'http',
        scheme: 'bearer',
        bearerFormat: 'berth_…',
        description: 'A secret of an account. The registry (`/v2`) also takes tokens of `/auth/token`',
      },
      SECRET,
    );
}

/**
 * Says of each operation whether it needs credentials: what the guard requires of its handler. Call it before
 * operations are renamed or copied.
 */
export function documentAccess(app: INestApplication, document: OpenAPIObject): OpenAPIObject {
  const requirements = requirementsOf(app);
  for (const item of Object.values(document.paths)) {
    for (const operation of Object.values(item) as Operation[]) {
      const requirement = requirements.get(operation.operationId ?? '');
      // The guard refuses every request to a handler without a requirement.
      operation.security = requirement?.type === 'public' ? [] : [{ [PASSWORD]: [] }, { [SECRET]: [] }];
    }
  }
  return document;
}

/** The requirements of all handlers, by their operation ids. */
function requirementsOf(app: INestApplication): Map<string, AccessRequirement | undefined> {
  const [reflector, scanner] = [app.get(Reflector), new MetadataScanner()];
  const controllers = [...app.get(ModulesContainer).values()].flatMap((module) => [
    ...module.controllers.values(),
  ]);
  return new Map(
    controllers.flatMap(({ metatype }) => {
      if (typeof metatype !== 'function') return [];
      const prototype = metatype.prototype as Record<string, unknown>;
      return scanner.getAllMethodNames(prototype).flatMap((name) => {
        const handler = prototype[name];
        if (typeof handler !== 'function') return [];
        const operation = Reflect.getMetadata(API_OPERATION, handler) as { operationId?: string } | undefined;
        const requirement = reflector.getAllAndOverride<AccessRequirement | undefined>(ACCESS_REQUIREMENT, [
          handler,
          metatype,
        ]);
        return operation?.operationId === undefined ? [] : [[operation.operationId, requirement] as const];
      });
    }),
  );
}

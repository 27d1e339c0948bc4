/** An error response of the JSON API: https://cloud.google.com/storage/docs/json_api/v1/status-codes */
export class GcsHttpError extends Error {
  constructor(
    readonly status: number,
    readonly reason: string,
    message: string,
    readonly headers: Record<string, string> = {},
  ) {
    super(message);
  }

  toJSON(): unknown {
    const { status: code, message, reason } = this;
    return { error: { code, message, errors: [{ message, domain: 'global', reason }] } };
  }

  static noBucket(): GcsHttpError {
    return new GcsHttpError(404, 'notFound', 'The specified bucket does not exist.');
  }

  static noObject(bucket: string, name: string): GcsHttpError {
    return new GcsHttpError(404, 'notFound', `No such object: ${bucket}/${name}`);
  }

  static invalid(message: string): GcsHttpError {
    return new GcsHttpError(400, 'invalid', message);
  }

  static conditionNotMet(): GcsHttpError {
    return new GcsHttpError(
      412,
      'conditionNotMet',
      'At least one of the pre-conditions you specified did not hold.',
    );
  }
}

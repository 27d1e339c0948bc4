import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { ERROR_CODES } from '../../oci/error-codes.js';

const CODES = Object.keys(ERROR_CODES).join(', ');

/** An error of the spec (spec.md, "Error Codes"). */
export class RegistryErrorDto {
  @ApiProperty({
    type: String,
    description: `A code of the spec (${CODES}), or UNKNOWN for a failure of the registry`,
    example: 'NAME_UNKNOWN',
  })
  code: string;

  @ApiProperty({ example: 'repository name not known to registry' })
  message: string;

  @ApiPropertyOptional({ description: 'Details as JSON' })
  detail?: unknown;
}

export class RegistryErrorsDto {
  @ApiProperty({ type: [RegistryErrorDto] })
  errors: RegistryErrorDto[];
}

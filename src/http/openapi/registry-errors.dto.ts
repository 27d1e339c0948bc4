import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { ERROR_CODES } from '../../oci/error-codes.js';

/** One error in the spec's shape (spec.md, "Error Codes"). */
export class RegistryErrorDto {
  @ApiProperty({
    type: String,
    description: `One of the spec's codes (${Object.keys(ERROR_CODES).join(', ')}), or UNKNOWN for a failure of the registry`,
    example: 'NAME_UNKNOWN',
  })
  code: string;

  @ApiProperty({ example: 'repository name not known to registry' })
  message: string;

  @ApiPropertyOptional({ description: 'Whatever helps, as JSON' })
  detail?: unknown;
}

export class RegistryErrorsDto {
  @ApiProperty({ type: [RegistryErrorDto] })
  errors: RegistryErrorDto[];
}

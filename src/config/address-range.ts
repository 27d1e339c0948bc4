import { isIP } from 'node:net';
import { ValidateBy } from 'class-validator';

/** Each value is an address, or a range in CIDR notation, as Express's `trust proxy` reads them. */
export const AreAddressRanges = () =>
  ValidateBy(
    {
      name: 'areAddressRanges',
      validator: {
        validate: isAddressRange,
        defaultMessage: () => 'expected addresses or CIDRs, separated by commas: 10.0.0.0/8, fd00::/8',
      },
    },
    { each: true },
  );

function isAddressRange(value: unknown): boolean {
  const [address = '', prefix, ...rest] = String(value).split('/');
  const family = isIP(address);
  if (family === 0 || address.includes('%') || rest.length > 0) return false;
  if (prefix === undefined) return true;
  // A prefix of 0 would trust everybody.
  return /^[1-9]\d{0,2}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128);
}

export {
  type AuthenticationFailure,
  TooManyLoginsError,
  UnauthorizedError,
} from '../accounts/login.errors.js';

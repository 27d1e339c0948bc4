export {
  type AuthenticationFailure,
  TooManyLoginsError,
  UnauthorizedError,
} from '../accounts/logins/login.errors.js';

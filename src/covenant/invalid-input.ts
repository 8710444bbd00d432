import { HoldfastError } from '../base/errors.js'

/**
 * A request breaks a rule; `message` is the exact text of the answer's body (HTTP status 400).
 *
 * @remarks Thrown by validation and by normalisation, which is why it stands alone.
 */
export class InvalidInput extends HoldfastError {
  readonly code = 'InvalidInput'
  constructor(message: string, cause?: unknown) {
    super(message, {
      retry: 'after-fix',
      remedy: 'Correct the named field and send the request again.',
      cause,
    })
  }
}

export { HoldfastError, isHoldfastError, type Retry } from './base/errors.js'
export { type Holdfast, type HoldfastOptions, openHoldfast } from './holdfast.js'

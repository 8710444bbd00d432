import type { Origin, Problem } from './problem.js'

/** One value that somebody gave for a setting, not decoded yet. */
export type Given = {
  /** A key of the schema. */
  readonly key: string
  /** The name it was given under, for people. */
  readonly as: string
  readonly raw: unknown
  readonly origin: Origin
  /** What relative paths start from. */
  readonly folder: string
}

/** What one source gave, and what was wrong with it. */
export type Source = {
  readonly given: readonly Given[]
  readonly problems: readonly Problem[]
  readonly notices: readonly string[]
}

/** Flags before variables before the file before defaults. */
export const rankOf: { readonly [Kind in Origin['kind']]: number } = {
  flag: 3,
  environment: 2,
  file: 1,
  default: 0,
}

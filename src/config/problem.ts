import { HoldfastError } from '../base/errors.js'

/** Where a value came from; `name` is the flag, the variable or the file, and '' for a default. */
export type Origin = {
  readonly kind: 'flag' | 'environment' | 'file' | 'default'
  readonly name: string
}

/** One thing that is wrong with the configuration; holds names and bounds, never a configured text. */
export type Problem = {
  /** The setting, or the file. */
  readonly key: string
  /** `malformed`: it cannot be read as a setting. `refused`: it can, and a rule forbids it. */
  readonly kind: 'malformed' | 'refused'
  /** What is wrong and what was wanted. */
  readonly wrong: string
  /** What to do about it, one sentence. */
  readonly remedy: string
}

/** An origin in words: `flag --covenantSigner.port`, `default`. */
export function describeOrigin({ kind, name }: Origin): string {
  return name === '' ? kind : `${kind} ${name}`
}

/** The error for a list of problems; they are told in the order given. */
export function configError(problems: readonly Problem[]): ConfigMalformed | ConfigRefused {
  return problems.some(({ kind }) => kind === 'malformed')
    ? new ConfigMalformed(problems)
    : new ConfigRefused(problems)
}

abstract class ConfigError extends HoldfastError {
  /** Everything that was found, form first, then by the order of the rules. */
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    const lines = problems.map(({ key, wrong, remedy }) => `  ${key}: ${wrong}. ${remedy}`)
    const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`
    super(`configuration: ${count}\n${lines.join('\n')}`, {
      retry: 'after-fix',
      remedy: 'Correct what is listed, see "holdfast config check", and start again.',
    })
    this.problems = problems
  }
}

/** Some of the configuration cannot be read: a missing file, bad TOML, an unknown key, a wrong type. */
export class ConfigMalformed extends ConfigError {
  readonly code = 'ConfigMalformed'
}

/** The configuration was read, and a rule forbids to start with it. */
export class ConfigRefused extends ConfigError {
  readonly code = 'ConfigRefused'
}

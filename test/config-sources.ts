import type { ConfigSources, FoundFile, Problem } from '../src/config.js'
import { ConfigMalformed, ConfigRefused, loadConfig } from '../src/config.js'

/** A reader that knows these files, by path; a text is a file of this user with mode 0600. */
export function filesOf(
  files: Readonly<Record<string, string | Partial<FoundFile>>>,
): NonNullable<ConfigSources['readFile']> {
  return (path, sizeBytesMax) => {
    const file = files[path]
    if (file === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
    const own = { mode: 0o600, ownerId: process.getuid?.() ?? 0, bytes: new Uint8Array() }
    const found =
      typeof file === 'string' ? { ...own, bytes: Buffer.from(file) } : { ...own, ...file }
    if (found.bytes.length > sizeBytesMax) throw Object.assign(new Error('big'), { code: 'EFBIG' })
    return found
  }
}

/** The sources of one TOML text, with nothing from the environment. */
export function toml(text: string, more: Partial<ConfigSources> = {}): ConfigSources {
  return { file: '/etc/h.toml', readFile: filesOf({ '/etc/h.toml': text }), env: {}, ...more }
}

/** What is wrong with a configuration, and as which error it is thrown; none when it loads. */
export function refusal(sources: ConfigSources): {
  readonly code: string | undefined
  readonly problems: readonly Problem[]
} {
  try {
    loadConfig(sources)
    return { code: undefined, problems: [] }
  } catch (error) {
    if (!(error instanceof ConfigMalformed || error instanceof ConfigRefused)) throw error
    return { code: error.code, problems: error.problems }
  }
}

/** The problems as one line each: `key: what is wrong`. */
export function lines(sources: ConfigSources): readonly string[] {
  return refusal(sources).problems.map(({ key, wrong }) => `${key}: ${wrong}`)
}

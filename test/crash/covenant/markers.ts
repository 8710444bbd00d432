import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Puts a text between the two markers of a name in docs/RELIABILITY.md; makes the markers at its end when missing. */
export function writeBetween(repository: string, name: string, text: string): void {
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`]
  const file = join(repository, 'docs', 'RELIABILITY.md')
  const found = existsSync(file) ? readFileSync(file, 'utf8') : '# Reliability\n'
  const old = found.includes(begin) ? found : `${found.trimEnd()}\n\n${begin}\n${end}\n`
  const [from, to] = [old.indexOf(begin), old.indexOf(end)]
  if (to < from) throw new Error(`docs/RELIABILITY.md: the end marker of ${name} is missing`)
  writeFileSync(file, `${old.slice(0, from)}${begin}\n${text}\n${old.slice(to)}`)
}

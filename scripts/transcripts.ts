import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { program } from '../test/cli/command.js'
import { sessions } from './transcript-sessions.js'
import { freePorts, Site } from './transcript-site.js'

/**
 * Plays the sessions of docs/OPERATIONS.md with the real command line and writes them into the page.
 *
 *   npx tsx scripts/transcripts.ts                 all of them, into the page
 *   npx tsx scripts/transcripts.ts --check         fails where the page has something else
 *   npx tsx scripts/transcripts.ts --print NAME... prints some of them and writes nothing
 *
 * `--cli FILE` names the built command line to play with.
 */
const page = fileURLToPath(new URL('../docs/OPERATIONS.md', import.meta.url))

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    check: { type: 'boolean', default: false },
    print: { type: 'boolean', default: false },
    cli: { type: 'string' },
  },
})

const names = positionals.length > 0 ? positionals : Object.keys(sessions)
const before = values.print ? '' : readFileSync(page, 'utf8')
let after = before
for (const name of names) {
  const text = await play(name)
  if (values.print) process.stdout.write(`==== ${name}\n${text}\n\n`)
  else after = fill(after, name, text)
}
if (values.check && after !== before) {
  process.stderr.write('docs/OPERATIONS.md: its transcripts are not what the commands print now\n')
  process.exitCode = 1
}
if (!values.check && !values.print) writeFileSync(page, after)

async function play(name: string): Promise<string> {
  const session = sessions[name]
  if (session === undefined) throw new RangeError(`${name}: no such session`)
  const site = new Site(values.cli === undefined ? program : [values.cli], await freePorts())
  try {
    await session(site)
    return site.transcript()
  } finally {
    await site.remove()
  }
}

function fill(text: string, name: string, transcript: string): string {
  const begin = `<!-- transcript:${name} -->`
  const end = `<!-- /transcript:${name} -->`
  const [head, rest] = [text.indexOf(begin), text.indexOf(end)]
  if (head < 0 || rest < head)
    throw new RangeError(`docs/OPERATIONS.md: has no ${begin} ... ${end}`)
  return `${text.slice(0, head)}${begin}\n\`\`\`\n${transcript}\n\`\`\`\n${text.slice(rest)}`
}

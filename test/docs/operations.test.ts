import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { sessions } from '../../scripts/transcript-sessions.js'
import { freePorts, Site } from '../../scripts/transcript-site.js'
import { buildProgram } from '../../src/cli/program.js'
import { program } from '../cli/command.js'

const page = readFileSync(new URL('../../docs/OPERATIONS.md', import.meta.url), 'utf8')

/** Name and content of every marked place of the page. */
const transcripts = new Map(
  [...page.matchAll(/<!-- transcript:([\w-]+) -->\n([\s\S]*?)<!-- \/transcript:\1 -->/g)].map(
    ([, name = '', text = '']) => [name, text] as const,
  ),
)

type Command = { readonly words: readonly string[]; readonly flags: readonly string[] }

/** Every command line of ours that stands in a text: as typed, as a hint, or in a sentence. */
function commandsIn(text: string): readonly Command[] {
  return [...text.matchAll(/\bholdfast ((?:[a-z][a-z-]*(?= |$|`|")[ ]?)+)([^\n`]*)/gm)].map(
    ([, words = '', rest = '']) => ({
      words: words.trim().split(' '),
      // What stands in quotes is a reason, what stands behind a bar another program.
      flags: (rest.replace(/'[^']*'|"[^"]*"/g, '').split('|')[0] ?? '').match(/--[a-z-]+/g) ?? [],
    }),
  )
}

/** What is wrong with a command, '' when the command line knows it with all its flags. */
function problemOf({ words, flags }: Command): string {
  let at = buildProgram()
  const known = new Set(at.options.map(({ long }) => long))
  for (const word of words) {
    const next = at.commands.find((one) => one.name() === word)
    if (next === undefined && at.commands.length > 0) return `holdfast ${words.join(' ')}: unknown`
    if (next === undefined) break
    at = next
    for (const { long } of at.options) known.add(long)
  }
  if (at.commands.length > 0) return `holdfast ${words.join(' ')}: no verb`
  const unknown = flags.filter((flag) => !known.has(flag))
  return unknown.length === 0 ? '' : `holdfast ${words.join(' ')}: ${unknown.join(' ')}`
}

describe('docs/OPERATIONS.md', () => {
  it('shows every session, and no other', () => {
    expect([...transcripts.keys()].sort()).toEqual(Object.keys(sessions).sort())
    for (const [name, text] of transcripts) {
      expect(text, name).toMatch(/^```\n(?:.*\n)*?\$ (?:.*\n)+```\n$/)
      expect(text, name).not.toMatch(/^\$ false$/m)
    }
  })

  it('names commands and flags that the command line has', () => {
    const commands = [...commandsIn(page)]
    expect(commands.length).toBeGreaterThan(60)
    expect(commands.map(problemOf).filter((problem) => problem !== '')).toEqual([])
  })

  it('would notice a command and a flag that are gone', () => {
    const told = commandsIn('`holdfast covenant undo X`, `holdfast status --loud`').map(problemOf)
    expect(told).toEqual(['holdfast covenant undo: unknown', 'holdfast status: --loud'])
  })

  it('has links to headings and files that are there', () => {
    const headings = [...page.matchAll(/^#+ (.*)$/gm)].map(([, text = '']) =>
      text
        .toLowerCase()
        .replace(/[^\w -]/g, '')
        .replaceAll(' ', '-'),
    )
    for (const [, heading = ''] of page.matchAll(/\]\(#([^)]+)\)/g)) {
      expect(headings).toContain(heading)
    }
    for (const [, file = ''] of page.matchAll(/\]\(([\w./-]+)\)/g)) {
      const path = fileURLToPath(new URL(`../../docs/${file}`, import.meta.url))
      expect(spawnSync('test', ['-f', path]).status, file).toBe(0)
    }
  })

  it('settles a truncated file in four commands, exactly as it shows', async () => {
    const site = new Site(program, await freePorts())
    try {
      await sessions['truncated-file']?.(site)
      const played = site.transcript()
      expect(`\`\`\`\n${played}\n\`\`\`\n`).toBe(transcripts.get('truncated-file'))
      const typed = [...played.matchAll(/^\$ holdfast .*$/gm)]
      // The import, and then four.
      expect(typed).toHaveLength(5)
      expect(played).toMatch(/No record is open any more\.$/)
    } finally {
      await site.remove()
    }
  }, 60_000)
})

import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nextCommand, shellWord } from '../../src/cli/next-command.js'

/** What a shell makes of the words, each ended by a NUL. */
const readByShell = (words: string): string[] =>
  execFileSync('bash', ['-c', `printf '%s\\0' ${words}`], {
    encoding: 'utf8',
    env: { LC_ALL: 'C.UTF-8' },
  })
    .split('\0')
    .slice(0, -1)

const parts = ["'", '"', '\\', '$(x)', '`', ' ', '\n', '\u001b[2J', '\u202e', 'ü', 'a', ';', '!']
const text = fc
  .array(fc.constantFrom(...parts), { minLength: 1, maxLength: 6 })
  .map((pieces) => pieces.join(''))

describe('a word of a command that is shown', () => {
  it('is read by a shell as the text it stands for, and moves no terminal', () => {
    fc.assert(
      fc.property(fc.array(text, { minLength: 20, maxLength: 40 }), (texts) => {
        const words = texts.map(shellWord)
        expect(readByShell(words.join(' '))).toEqual(texts)
        for (const word of words) expect(word).not.toMatch(/[\p{Cc}\p{Cf}]/u)
      }),
      { numRuns: 20 },
    )
  })

  it('stays as it is when nothing in it means anything to a shell', () => {
    const target = { flags: ['--data-dir', '/var/lib/holdfast'] }
    expect(nextCommand(target, 'quarantine', 'show', 'job-7')).toBe(
      'holdfast quarantine show job-7 --data-dir /var/lib/holdfast',
    )
  })
})

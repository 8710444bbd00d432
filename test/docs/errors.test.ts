import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { errorClasses, root } from './error-classes.js'

type Section = { readonly code: string; readonly area: string; readonly text: string }

/** The sections of the page in their order. */
function sectionsOf(page: string): readonly Section[] {
  const sections: Section[] = []
  let area = ''
  for (const part of page.split(/^(?=##? )/m)) {
    const [, mark, title = ''] = /^(##?) (.*)\n/.exec(part) ?? []
    if (mark === '#') area = title
    else if (mark === '##') sections.push({ code: title, area, text: part })
  }
  return sections
}

/** Exit status by code as the command's own table says; what is not in it ends with 1. */
function exitStatuses(): ReadonlyMap<string, number> {
  const main = readFileSync(join(root, 'src/cli/main.ts'), 'utf8')
  const numbers = new Map(
    [...main.matchAll(/^const (\w+) = (\d)$/gm)].map(([, name, value]) => [name, Number(value)]),
  )
  return new Map(
    [...main.matchAll(/\['(\w+)', (\w+)\],/g)].map(([, code = '', name]) => [
      code,
      numbers.get(name) ?? Number.NaN,
    ]),
  )
}

const classes = errorClasses()
const sections = sectionsOf(readFileSync(join(root, 'docs/ERRORS.md'), 'utf8'))
const statuses = exitStatuses()

describe('docs/ERRORS.md', () => {
  it('has one section for each error code of the sources, and no other', () => {
    expect(classes.length).toBeGreaterThan(60)
    const codes = classes.map(({ code }) => code).sort()
    expect(codes).toEqual([...new Set(codes)])
    expect(sections.map(({ code }) => code).sort()).toEqual(codes)
  })

  it('names codes in alphabetical order within each area', () => {
    const inOrder = (area: string): readonly string[] =>
      sections.filter((section) => section.area === area).map(({ code }) => code)
    for (const area of new Set(sections.map((section) => section.area))) {
      const codes = inOrder(area).map((code) => code.toLowerCase())
      expect(codes, area).toEqual([...codes].sort())
    }
  })

  it('says in each section when, whether to retry, what to do and with which status', () => {
    for (const { code, text } of sections) {
      const shape = /^## \w+\n[A-Z`0-9].+?\.\n- Retry: .+?\.\n- Do: .+?\.\n- Exit status: \d\.\n/s
      expect(text, code).toMatch(shape)
    }
  })

  it('gives the exit status that the command ends with', () => {
    expect(statuses.size).toBeGreaterThan(10)
    for (const { code, text } of sections) {
      const status = Number(/^- Exit status: (\d)\.$/m.exec(text)?.[1])
      expect([code, status]).toEqual([code, statuses.get(code) ?? 1])
    }
  })

  it('names exactly the answers to "retry?" that the class can give', () => {
    for (const { code, text } of sections) {
      const retries = classes.find((found) => found.code === code)?.retries ?? []
      const paragraph = /^- Retry: (.*?)^- Do: /ms.exec(text)?.[1] ?? ''
      const named = [...paragraph.matchAll(/`(safe|after-fix|never)`/g)].map(([, word]) => word)
      if (retries.length > 0) expect([code, [...new Set(named)].sort()]).toEqual([code, retries])
      else expect(named, code).not.toEqual([])
    }
  })
})

describe('the exit statuses of the command', () => {
  it('are given to codes that exist', () => {
    const codes = new Set(classes.map(({ code }) => code))
    expect([...statuses.keys()].filter((code) => !codes.has(code))).toEqual([])
  })
})

describe('every error class', () => {
  it.each(classes.map((found) => [found.code, found] as const))(
    '%s has a remedy, is named as its code, and says whether to retry',
    (code, { name, retries, remedyProblem }) => {
      expect(name).toBe(code)
      expect(remedyProblem).toBeUndefined()
      // Its answer is that of its cause, which an own test shows.
      if (code !== 'RestoreFailed') expect(retries).not.toEqual([])
    },
  )
})

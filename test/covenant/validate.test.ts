import { describe, expect, it } from 'vitest'
import { InvalidInput } from '../../src/covenant/invalid-input.js'
import { validatePoll, validateSubmit } from '../../src/covenant/validate.js'
import { keys, ValueMissing } from './factory.js'
import {
  type BaseName,
  bases,
  type Draft,
  makeDraft,
  mootPairs,
  type RuleRow,
  ruleRows,
} from './validate-rules.js'

const baseNames = Object.keys(bases) as readonly BaseName[]
const rowsOf = (base: BaseName) => ruleRows.filter((row) => row.bases.includes(base))

/** The text a submit is refused with; undefined when it is accepted. */
function refusalOfSubmit({ input, route, context }: Draft): string | undefined {
  return refusal(() => validateSubmit(input, route, context))
}

/** The text a poll of the same request is refused with. */
function refusalOfPoll({ input, route, context }: Draft): string | undefined {
  const depositorEthAddress = route === 'self_v1' ? pinnedAddress(input.request.action) : undefined
  return refusal(() =>
    validatePoll({ ...input, requestId: 'kcs_0' }, route, {
      domain: context.domain,
      hostHeight: context.hostHeight,
      depositorEthAddress,
    }),
  )
}

/** Of the bases on self_v1 only the migrating one is signed by a wallet. */
const pinnedAddress = (action: string) =>
  action === 'RENEW' ? undefined : keys.depositor.ethAddress

function refusal(validate: () => void): string | undefined {
  try {
    validate()
  } catch (error) {
    if (error instanceof InvalidInput) return error.message
    throw error
  }
  return undefined
}

/**
 * Breaks the later rule, then the earlier one, so that the earlier break stands whatever it overwrites.
 *
 * @returns false when the later break took away what the earlier one changes.
 */
function breakBoth(draft: Draft, first: RuleRow, second: RuleRow): boolean {
  second.break(draft)
  try {
    first.break(draft)
  } catch (error) {
    if (error instanceof ValueMissing) return false
    throw error
  }
  return true
}

/** A text that ends with a blank is the beginning of what is expected. */
const fits = (found: string | undefined, text: string) =>
  text.endsWith(' ') ? found?.startsWith(text) === true : found === text

describe('submit', () => {
  it.each(baseNames)('accepts the sound request "%s" (B1, B3, B4, B7, B8)', (base) => {
    expect(refusalOfSubmit(makeDraft(base))).toBeUndefined()
  })

  const cases = baseNames.flatMap((base) =>
    rowsOf(base).map((row) => ({ base, row, title: row.name })),
  )
  it.each(cases)('refuses $title on "$base" with its exact text', ({ base, row }) => {
    const draft = makeDraft(base)
    row.break(draft)
    const found = refusalOfSubmit(draft)
    if (!fits(found, row.text)) expect(found).toBe(row.text)
    expect(fits(found, row.text)).toBe(true)
  })

  it.each(baseNames)('lets the first broken rule win for every pair of rules on "%s"', (base) => {
    const wrong: string[] = []
    const rows = rowsOf(base)
    for (const [index, first] of rows.entries()) {
      for (const second of rows.slice(index + 1)) {
        const draft = makeDraft(base)
        const pair = `${first.name} + ${second.name}`
        if (mootPairs.has(pair) || !breakBoth(draft, first, second)) continue
        const found = refusalOfSubmit(draft)
        if (!fits(found, first.text)) wrong.push(`${pair}: ${found}`)
      }
    }
    expect(wrong).toEqual([])
  })
})

describe('poll', () => {
  it('needs a requestId before anything else', () => {
    const { input, route, context } = makeDraft('plain')
    input.stage = ''
    const poll = () =>
      validatePoll({ ...input, requestId: '' }, route, {
        ...context,
        depositorEthAddress: undefined,
      })
    expect(refusal(poll)).toBe('requestId is required')
  })

  it.each(baseNames)('accepts the sound request "%s" (F4)', (base) => {
    expect(refusalOfPoll(makeDraft(base))).toBeUndefined()
  })

  const cases = baseNames.flatMap((base) =>
    rowsOf(base).map((row) => ({ base, row, title: row.name })),
  )
  it.each(cases.filter(({ row }) => !row.submitOnly))(
    'refuses $title on "$base" with its exact text',
    ({ base, row }) => {
      const draft = makeDraft(base)
      row.break(draft)
      const found = refusalOfPoll(draft)
      if (!fits(found, row.text)) expect(found).toBe(row.text)
      expect(fits(found, row.text)).toBe(true)
    },
  )

  it.each(cases.filter(({ row }) => row.submitOnly))(
    'does not mind $title on "$base" (F3)',
    ({ base, row }) => {
      const draft = makeDraft(base)
      row.break(draft)
      expect(refusalOfPoll(draft)).toBeUndefined()
    },
  )
})

import fc from 'fast-check'
import { expect, it } from 'vitest'
import { parseWalletId } from '../../src/base/ids.js'
import { isLabel, parseSecretFileName, secretFileName } from '../../src/vault/secret-name.js'
import { walletA } from './fixture.js'

const hex = (length: number) =>
  fc
    .array(fc.constantFrom(...'0123456789abcdef'), { minLength: length, maxLength: length })
    .map((digits) => digits.join(''))
const label = fc
  .array(fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz0123456789._-'), {
    minLength: 1,
    maxLength: 40,
  })
  .map((characters) => characters.join(''))
  .filter(isLabel)

it('reads back the name of every entry that it can write', () => {
  const entry = fc.record({
    walletId: hex(64).map(parseWalletId),
    label: fc.oneof(
      label,
      fc.constantFrom('a.staged', 'a.previous', 'a.staged.b', 'staged-', '-', '_'),
    ),
    state: fc.constantFrom('final' as const, 'staged' as const, 'previous' as const),
    tag: hex(16),
  })
  fc.assert(
    fc.property(entry, ({ tag, ...rest }) => {
      const attemptTag = rest.state === 'final' ? undefined : tag
      expect(parseSecretFileName(secretFileName(rest, rest.state, tag))).toEqual({
        ...rest,
        attemptTag,
      })
    }),
  )
})

it.each([
  'header',
  '.holdfast-0123456789abcdef.tmp',
  walletA,
  `${walletA}.`,
  `${walletA}..seed`,
  `${walletA}.Seed`,
  `${walletA.toUpperCase()}.seed`,
  `${walletA}.seed.staged-0123`,
  `${walletA}.seed.staged-0123456789ABCDEF`,
  `${walletA}.seed.staged-0123456789abcdef.previous-0123456789abcdef`,
  `${walletA}.seed\n`,
  `${walletA}.${'x'.repeat(41)}`,
  `x${walletA}.seed`,
])('takes %j for a foreign file', (name) => {
  expect(parseSecretFileName(name)).toBeUndefined()
})

it('refuses a tag that is not 16 digits as the mistake of a programmer', () => {
  const ref = { walletId: walletA, label: 'seed' }
  for (const tag of [undefined, '', '0123', '../../../../etc', '0123456789ABCDEF']) {
    expect(() => secretFileName(ref, 'staged', tag)).toThrow(RangeError)
  }
})

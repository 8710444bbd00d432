import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { requireAddress, requireBytes32, requireHex } from '../../src/covenant/validate-fields.js'

function refusal(check: (text: string, name: string) => void, text: string): string | undefined {
  try {
    check(text, 'x')
  } catch (error) {
    return error instanceof Error ? error.message : 'no error'
  }
  return undefined
}

const shape = 'x must be a 0x-prefixed even-length hex string'
const digits = 'x must be valid hex'

/** The rule in other words: first prefix and length in bytes, then each digit. */
function expected(text: string): string | undefined {
  const size = new TextEncoder().encode(text).length
  if (text[0] !== '0' || text[1] !== 'x' || size === 2 || size % 2 === 1) return shape
  const bad = [...text.slice(2)].some((letter) => !'0123456789abcdefABCDEF'.includes(letter))
  return bad ? digits : undefined
}

const letter = fc.constantFrom(...'0123456789abcdefABCDEFxXgG é\n')
const body = fc.array(letter, { maxLength: 12 }).map((letters) => letters.join(''))

describe('the hex rule', () => {
  it('agrees with the rule in other words on any text', () => {
    const text = fc.tuple(fc.constantFrom('0x', '0X', '', 'x'), body).map((parts) => parts.join(''))
    fc.assert(
      fc.property(text, (value) => {
        expect(refusal(requireHex, value)).toBe(expected(value))
      }),
      { numRuns: 3000 },
    )
  })

  it('counts bytes, so that a two-byte letter is a bad digit', () => {
    expect(refusal(requireHex, '0xé')).toBe(digits)
    expect(refusal(requireHex, '0x1é')).toBe(shape)
    expect(refusal(requireHex, '0x12\n')).toBe(shape)
    expect(refusal(requireHex, '0x1\n')).toBe(digits)
  })

  it('reads a field as long as a body may be', () => {
    expect(refusal(requireHex, `0x${'ab'.repeat(1_000_000)}`)).toBeUndefined()
    expect(refusal(requireHex, `0x${'ab'.repeat(1_000_000)}ag`)).toBe(digits)
  })

  it('wants 20 bytes of an address and 32 of a digest', () => {
    expect(refusal(requireAddress, `0x${'aB'.repeat(20)}`)).toBeUndefined()
    expect(refusal(requireAddress, '0x')).toBe(shape)
    expect(refusal(requireAddress, `0x${'ab'.repeat(21)}`)).toBe(
      'x must be a 20-byte 0x-prefixed hex address',
    )
    expect(refusal(requireBytes32, `0x${'ab'.repeat(32)}`)).toBeUndefined()
    expect(refusal(requireBytes32, `0x${'ag'.repeat(31)}`)).toBe(digits)
    expect(refusal(requireBytes32, `0x${'ab'.repeat(31)}`)).toBe(
      'x must be a 32-byte 0x-prefixed hex string',
    )
  })
})

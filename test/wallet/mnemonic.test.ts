import { readFileSync } from 'node:fs'
import { entropyToMnemonic, mnemonicToSeedSync } from '@scure/bip39'
import { wordlist as czech } from '@scure/bip39/wordlists/czech.js'
import { wordlist as english } from '@scure/bip39/wordlists/english.js'
import { wordlist as french } from '@scure/bip39/wordlists/french.js'
import { wordlist as italian } from '@scure/bip39/wordlists/italian.js'
import { wordlist as japanese } from '@scure/bip39/wordlists/japanese.js'
import { wordlist as korean } from '@scure/bip39/wordlists/korean.js'
import { wordlist as portuguese } from '@scure/bip39/wordlists/portuguese.js'
import { wordlist as simplifiedChinese } from '@scure/bip39/wordlists/simplified-chinese.js'
import { wordlist as spanish } from '@scure/bip39/wordlists/spanish.js'
import { wordlist as traditionalChinese } from '@scure/bip39/wordlists/traditional-chinese.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toHex } from '../../src/base/bytes.js'
import { InvalidMnemonic, newPhrase, seedFromPhrase } from '../../src/wallet/mnemonic.js'

const vectors = JSON.parse(
  readFileSync(new URL('../vectors/wallet_hd_derivation_vectors_v1.json', import.meta.url), 'utf8'),
).bip39 as {
  vectors: { entropy: string; mnemonic: string }[]
  invalid: { mnemonic: string; reason: string }[]
}
const ids = JSON.parse(
  readFileSync(
    new URL('../vectors/wallet_id_and_account_vectors_v1.json', import.meta.url),
    'utf8',
  ),
).wallet_ids as { mnemonic: string; seed: string }[]

const lists = {
  english,
  simplifiedChinese,
  traditionalChinese,
  czech,
  french,
  italian,
  japanese,
  korean,
  portuguese,
  spanish,
}
const languages = Object.entries(lists)
const about =
  'abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about'

function failure(phrase: string): InvalidMnemonic {
  try {
    seedFromPhrase(phrase)
  } catch (error) {
    if (error instanceof InvalidMnemonic) return error
    throw error
  }
  throw new Error('the phrase was accepted')
}

describe('recovery phrases', () => {
  it.each(ids)('make the published seed without a passphrase', ({ mnemonic, seed }) => {
    expect(toHex(seedFromPhrase(mnemonic))).toBe(seed)
  })

  it.each(vectors.vectors)('of the BIP-39 reference set are accepted', ({ mnemonic, entropy }) => {
    expect(entropyToMnemonic(new Uint8Array(Buffer.from(entropy, 'hex')), english)).toBe(mnemonic)
    expect(toHex(seedFromPhrase(mnemonic))).toBe(toHex(mnemonicToSeedSync(mnemonic)))
  })

  it.each(vectors.invalid)('with a wrong $reason are refused', ({ mnemonic, reason }) => {
    expect(failure(mnemonic)).toMatchObject({ code: 'InvalidMnemonic', reason })
    expect(failure(mnemonic).position).toBeUndefined()
  })

  it.each(languages)('in %s are recognised, in every length and Unicode form', (_, list) => {
    const entropy = fc
      .constantFrom(16, 20, 24, 28, 32)
      .chain((size) => fc.uint8Array({ minLength: size, maxLength: size }))
    fc.assert(
      fc.property(entropy, (bytes) => {
        const phrase = entropyToMnemonic(bytes, list)
        const expected = toHex(mnemonicToSeedSync(phrase))
        expect(toHex(seedFromPhrase(phrase))).toBe(expected)
        expect(toHex(seedFromPhrase(phrase.normalize('NFC')))).toBe(expected)
      }),
      { numRuns: 12 },
    )
  })

  it('in Chinese are recognised when both Chinese lists hold every word', () => {
    const shared = simplifiedChinese.filter((word) => traditionalChinese.includes(word))
    const phrase = findPhrase(shared, (candidate) => fits(candidate, traditionalChinese))
    expect(toHex(seedFromPhrase(phrase))).toBe(toHex(mnemonicToSeedSync(phrase)))
  })

  it('are recognised when an earlier list holds every word and only a later checksum fits', () => {
    const shared = english.filter((word) => french.includes(word))
    const phrase = findPhrase(shared, (one) => fits(one, french) && !fits(one, english))
    expect(toHex(seedFromPhrase(phrase))).toBe(toHex(mnemonicToSeedSync(phrase)))
  })

  it('are read in capitals and with any spaces, tabs and lines between words', () => {
    const expected = toHex(seedFromPhrase(about))
    expect(toHex(seedFromPhrase(`  ${about.replaceAll(' ', ' \t\n ')}\n`))).toBe(expected)
    expect(toHex(seedFromPhrase(about.toUpperCase()))).toBe(expected)
  })

  it.each([0, 1, 11, 13, 14, 23, 25, 27])('of %i words are refused by their number', (count) => {
    expect(failure(Array(count).fill('abandon').join(' ')).reason).toBe('wordCount')
  })

  it('of any excessive length are refused before they are read', () => {
    expect(failure('abandon '.repeat(1_000_000)).reason).toBe('wordCount')
  })

  it.each(languages)('in %s name the place of an unknown word and never the word', (_, list) => {
    const bad = 'xqzzyq'
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.nat(11), (bytes, at) => {
        const words = entropyToMnemonic(bytes, list).normalize('NFKD').split(' ')
        words[at] = bad
        const error = failure(words.join(' '))
        expect(error).toMatchObject({ reason: 'unknownWord', position: at + 1, retry: 'after-fix' })
        expect(error.message).toBe(
          `recovery phrase: word ${at + 1} is not in the BIP-39 list that holds the rest`,
        )
        expect(`${error.stack} ${JSON.stringify(error)}`).not.toContain(bad)
      }),
      { numRuns: 10 },
    )
  })

  it('name the right place when the wrong word is a word of another language', () => {
    const words = about.split(' ')
    words[0] = 'abdikace'
    expect(czech).toContain('abdikace')
    expect(failure(words.join(' '))).toMatchObject({ reason: 'unknownWord', position: 1 })
  })

  it('with unpaired surrogates are refused', () => {
    expect(failure(`\ud800 ${about.slice(8)}`)).toMatchObject({ position: 1 })
  })

  it('with two words swapped are refused by their checksum nearly always', () => {
    expect(failure(about.split(' ').reverse().join(' ')).reason).toBe('checksum')
  })
})

describe('a fresh phrase', () => {
  it.each([12, 15, 18, 21, 24] as const)('has %i different words when asked for', (count) => {
    const phrase = newPhrase(count)
    expect(phrase.split(' ')).toHaveLength(count)
    expect(seedFromPhrase(phrase)).toHaveLength(64)
    expect(newPhrase(count)).not.toBe(phrase)
  })

  it('has 24 words unless told otherwise', () => {
    expect(newPhrase().split(' ')).toHaveLength(24)
  })

  it('cannot have another number of words', () => {
    // @ts-expect-error 13 is not a word count
    expect(() => newPhrase(13)).toThrow(RangeError)
  })
})

/** Twelve neighbouring words of `pool` that `suits` accepts. */
function findPhrase(pool: readonly string[], suits: (phrase: string) => boolean): string {
  for (let start = 0; start < pool.length - 12; start++) {
    const phrase = pool.slice(start, start + 12).join(' ')
    if (suits(phrase)) return phrase
  }
  throw new Error('no such phrase')
}

function fits(phrase: string, list: readonly string[]): boolean {
  const bits = phrase
    .split(' ')
    .map((word) => list.indexOf(word).toString(2).padStart(11, '0'))
    .join('')
  const bytes = Uint8Array.from({ length: 16 }, (_, at) =>
    Number.parseInt(bits.slice(at * 8, at * 8 + 8), 2),
  )
  return entropyToMnemonic(bytes, [...list]) === phrase
}

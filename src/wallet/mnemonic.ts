import { pbkdf2Sync, randomFillSync } from 'node:crypto'
import { entropyToMnemonic } from '@scure/bip39'
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
import { sha256, wipe } from '../base/bytes.js'
import { HoldfastError } from '../base/errors.js'

/** Words of a recovery phrase; three words hold 32 bits of entropy and one of checksum. */
export type WordCount = 12 | 15 | 18 | 21 | 24

const wordCounts: readonly number[] = [12, 15, 18, 21, 24]
const bitsPerWord = 11
/** UTF-16 units of a phrase before it is normalized; 24 words take less than 400. */
const phraseMax = 2048
const pbkdf2Rounds = 2048
const seedBytes = 64

/** Tried in this order; lists share words, so more than one may hold a whole phrase. */
const lists: readonly (readonly string[])[] = [
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
]
const indexes: (ReadonlyMap<string, number> | undefined)[] = []

/**
 * Seed of a recovery phrase (BIP-39, empty passphrase), 64 bytes; the caller wipes it.
 *
 * @param phrase - 12, 15, 18, 21 or 24 words of one of the ten BIP-39 lists, in any Unicode form, letter case
 * and spacing
 * @throws InvalidMnemonic
 */
export function seedFromPhrase(phrase: string): Uint8Array {
  const words = splitWords(phrase)
  checkWords(words)
  const sentence = Buffer.from(words.join(' '))
  const seed = pbkdf2Sync(sentence, 'mnemonic', pbkdf2Rounds, seedBytes, 'sha512')
  const copy = Uint8Array.from(seed)
  wipe(sentence, seed)
  return copy
}

/** A fresh English phrase from the system's random source. */
export function newPhrase(wordCount: WordCount = 24): string {
  if (!wordCounts.includes(wordCount)) {
    throw new RangeError('word count: want 12, 15, 18, 21 or 24')
  }
  const entropy = randomFillSync(new Uint8Array((wordCount / 3) * 4))
  try {
    return entropyToMnemonic(entropy, english)
  } finally {
    wipe(entropy)
  }
}

function splitWords(phrase: string): readonly string[] {
  if (phrase.length > phraseMax) throw new InvalidMnemonic('wordCount')
  const words = phrase.normalize('NFKD').toLowerCase().split(/\s+/u)
  return words.filter((word) => word !== '')
}

function checkWords(words: readonly string[]): void {
  if (!wordCounts.includes(words.length)) throw new InvalidMnemonic('wordCount')
  let nearest = { missing: words.length + 1, firstUnknown: 0 }
  for (let list = 0; list < lists.length; list++) {
    const index = indexOf(list)
    const numbers = words.map((word) => index.get(word) ?? -1)
    const missing = numbers.filter((number) => number === -1).length
    if (missing === 0 && checksumFits(numbers)) return
    if (missing < nearest.missing) nearest = { missing, firstUnknown: numbers.indexOf(-1) }
  }
  if (nearest.missing === 0) throw new InvalidMnemonic('checksum')
  throw new InvalidMnemonic('unknownWord', nearest.firstUnknown + 1)
}

/** Word to number of one list, made when it is first needed. */
function indexOf(list: number): ReadonlyMap<string, number> {
  const known = indexes[list]
  if (known !== undefined) return known
  const words = lists[list] ?? []
  const index = new Map(words.map((word, number) => [word.normalize('NFKD'), number]))
  indexes[list] = index
  return index
}

// Bits, most significant first: entropy(32 n) | checksum(n), where n = words / 3
function checksumFits(numbers: readonly number[]): boolean {
  const entropy = new Uint8Array((numbers.length / 3) * 4)
  let bits = 0
  let held = 0
  let at = 0
  for (const number of numbers) {
    held = (held << bitsPerWord) | number
    bits += bitsPerWord
    while (bits >= 8 && at < entropy.length) {
      bits -= 8
      entropy[at++] = held >>> bits
      held &= (1 << bits) - 1
    }
  }
  const digest = sha256(entropy)
  const fits = held === (digest[0] ?? 0) >>> (8 - bits)
  wipe(entropy, digest)
  return fits
}

/** A recovery phrase that is not one; the message never holds a word of it. */
export class InvalidMnemonic extends HoldfastError {
  readonly code = 'InvalidMnemonic'
  readonly reason: 'wordCount' | 'unknownWord' | 'checksum'
  /** Place of the unknown word, from 1. */
  readonly position?: number

  constructor(reason: 'wordCount' | 'checksum')
  constructor(reason: 'unknownWord', position: number)
  constructor(reason: 'wordCount' | 'unknownWord' | 'checksum', position?: number) {
    super(`recovery phrase: ${describe(reason, position)}`, {
      retry: 'after-fix',
      remedy: 'Check spelling and order of the words against the written copy.',
    })
    this.reason = reason
    if (position !== undefined) this.position = position
  }
}

function describe(reason: 'wordCount' | 'unknownWord' | 'checksum', position?: number): string {
  if (reason === 'wordCount') return 'wrong number of words, want 12, 15, 18, 21 or 24'
  if (reason === 'checksum') return 'the checksum is wrong; a word is mistaken or out of place'
  return `word ${position} is not in the BIP-39 list that holds the rest`
}

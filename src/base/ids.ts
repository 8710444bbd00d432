import { randomBytes } from 'node:crypto'

declare const brand: unique symbol
type Branded<Name extends string> = string & { readonly [brand]: Name }

/** 32-byte wallet id, 64 lower-case hex digits without 0x. */
export type WalletId = Branded<'WalletId'>
/** 32-byte id shared by one seed's wallets on every network, 64 lower-case hex digits. */
export type GroupId = Branded<'GroupId'>
/** 128 random bits that name one registration attempt, 32 lower-case hex digits. */
export type AttemptId = Branded<'AttemptId'>
/** The attempt that created a wallet: same digits as its `AttemptId`. */
export type Generation = Branded<'Generation'>

function parse<Id extends string>(text: string, digits: number, what: string): Id {
  if (text.length !== digits || !/^[0-9a-f]*$/.test(text)) {
    throw new RangeError(`${what}: want ${digits} lower-case hex digits`)
  }
  return text as Id
}

/** @throws RangeError unless the text is 64 lower-case hex digits. */
export const parseWalletId = (text: string): WalletId => parse(text, 64, 'wallet id')
/** @throws RangeError unless the text is 64 lower-case hex digits. */
export const parseGroupId = (text: string): GroupId => parse(text, 64, 'group id')
/** @throws RangeError unless the text is 32 lower-case hex digits. */
export const parseAttemptId = (text: string): AttemptId => parse(text, 32, 'attempt id')
/** @throws RangeError unless the text is 32 lower-case hex digits. */
export const parseGeneration = (text: string): Generation => parse(text, 32, 'generation')

/** A fresh attempt id from the system's random source. */
export const newAttemptId = (): AttemptId => parseAttemptId(randomBytes(16).toString('hex'))
/** The generation that a wallet promoted by this attempt carries. */
export const generationOf = (attempt: AttemptId): Generation => parseGeneration(attempt)
/** The 16 digits of an attempt that stand in a staged secret's file name. */
export const attemptTag = (attempt: AttemptId | Generation): string => attempt.slice(0, 16)

/** Stands for "no wallet" where a vault entry needs a wallet id. */
export const noWallet: WalletId = parseWalletId('0'.repeat(64))

import { type HoldfastError, isHoldfastError } from '../base/errors.js'
import { type Answer, malformedBody, textAnswer } from './wire-answer.js'

/** What a client of the compatible listener is told of an error; every other code is a 500. */
const answersByCode: ReadonlyMap<string, (error: HoldfastError) => Answer> = new Map<
  string,
  (error: HoldfastError) => Answer
>([
  ['InvalidInput', ({ message }) => textAnswer(400, message)],
  ['MalformedBody', () => malformedBody],
  ['JobNotFound', () => textAnswer(404, 'covenant signer job not found')],
  ['KeyFenced', ({ message }) => textAnswer(503, message)],
  [
    'IssuerBusy',
    () =>
      textAnswer(503, 'covenant signer engine is busy signing for this wallet', [
        ['Retry-After', '5'],
      ]),
  ],
])

/** The answer to an error, and whether its cause belongs in the log because the client is told nothing. */
export function answerForError(error: unknown): { readonly answer: Answer; readonly log: boolean } {
  const known = isHoldfastError(error) ? answersByCode.get(error.code)?.(error) : undefined
  return { answer: known ?? textAnswer(500, 'internal server error'), log: known === undefined }
}

const causesMax = 5
const messageMax = 300

/** An error and its causes in one line for the log; long messages are cut, bodies never stand in them. */
export function describeError(error: unknown): string {
  const told: string[] = []
  for (let at = error; at instanceof Error && told.length < causesMax; at = at.cause) {
    told.push(`${at.name}: ${at.message.slice(0, messageMax)}`)
  }
  return told.length === 0 ? `thrown: ${typeof error}` : told.join(' < ')
}

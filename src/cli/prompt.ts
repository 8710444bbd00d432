import { randomInt } from 'node:crypto'
import { Cancelled } from './usage.js'

type Prompts = typeof import('@clack/prompts')

/** Words of a new phrase that must be typed back. */
const confirmedWords = 3
/** Wrong answers to one of them before the command gives up. */
const answersMax = 3

/** Whether a person can be asked: the answers come from a terminal and the questions go to one. */
export function canAsk(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true
}

/** Asks whether to make new words or to take existing ones. @throws Cancelled */
export async function askWordSource(): Promise<'new' | 'existing'> {
  const prompts = await loadPrompts()
  return answered(
    prompts,
    await prompts.select({
      message: 'Recovery words of this wallet',
      options: [
        { value: 'new' as const, label: 'Make new words', hint: 'shown once, write them down' },
        { value: 'existing' as const, label: 'Type words that I have' },
      ],
      output: process.stderr,
    }),
  )
}

/** Asks for existing words, masked, until they are a phrase. @throws Cancelled */
export async function askPhrase(
  problemOf: (phrase: string) => string | undefined,
): Promise<string> {
  const prompts = await loadPrompts()
  const phrase = await prompts.password({
    message: 'Type all words, with spaces between them',
    validate: (text) => problemOf(text ?? ''),
    output: process.stderr,
  })
  return answered(prompts, phrase)
}

/** Asks for the vault passphrase; twice when it is a new one. @throws Cancelled */
export async function askPassphrase(kind: 'existing' | 'new'): Promise<Uint8Array> {
  const prompts = await loadPrompts()
  const first = answered(
    prompts,
    await prompts.password({
      message: kind === 'new' ? 'New vault passphrase (8 bytes or more)' : 'Vault passphrase',
      validate: (text) => (Buffer.byteLength(text ?? '') < 8 ? 'At least 8 bytes.' : undefined),
      output: process.stderr,
    }),
  )
  if (kind === 'new') {
    answered(
      prompts,
      await prompts.password({
        message: 'The same passphrase again',
        validate: (text) => (text === first ? undefined : 'It is not the same.'),
        output: process.stderr,
      }),
    )
  }
  return new TextEncoder().encode(first)
}

/**
 * Shows new words once and asks for three of them.
 *
 * @remarks They are drawn on the terminal's second screen, so that they are not left in its history.
 * @throws Cancelled also after too many wrong answers: then the words are not to be used
 */
export async function showAndConfirm(phrase: string): Promise<void> {
  const prompts = await loadPrompts()
  const words = phrase.split(' ')
  process.stderr.write(`\u001b[?1049h\u001b[H${sheetOf(words)}\n\n`)
  let written: unknown
  try {
    written = await prompts.text({
      message: 'Write the words down in this order, then press Enter. They are not shown again.',
      output: process.stderr,
    })
  } finally {
    process.stderr.write('\u001b[2J\u001b[?1049l')
  }
  if (prompts.isCancel(written)) throw new Cancelled()
  for (const position of somePositions(words.length)) {
    await confirmWord(prompts, position, words[position])
  }
}

async function confirmWord(
  prompts: Prompts,
  position: number,
  word: string | undefined,
): Promise<void> {
  for (let answers = 0; answers < answersMax; answers += 1) {
    const typed = answered(
      prompts,
      await prompts.password({ message: `Word ${position + 1}`, output: process.stderr }),
    )
    if (typed.trim().toLowerCase() === word) return
    prompts.log.warn('That is another word.', { output: process.stderr })
  }
  throw new Cancelled()
}

function sheetOf(words: readonly string[]): string {
  const rows = Math.ceil(words.length / 3)
  return Array.from({ length: rows }, (_, row) =>
    [row, row + rows, row + 2 * rows]
      .filter((index) => index < words.length)
      .map((index) => `${String(index + 1).padStart(4)}  ${(words[index] ?? '').padEnd(14)}`)
      .join(''),
  ).join('\n')
}

function somePositions(count: number): readonly number[] {
  const chosen = new Set<number>()
  while (chosen.size < confirmedWords) chosen.add(randomInt(count))
  return [...chosen].sort((a, b) => a - b)
}

function answered<Value>(prompts: Prompts, value: Value): Exclude<Value, symbol> {
  if (prompts.isCancel(value)) throw new Cancelled()
  return value as Exclude<Value, symbol> // the only symbol that prompts answer was refused above
}

function loadPrompts(): Promise<Prompts> {
  return import('@clack/prompts')
}

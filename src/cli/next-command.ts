import type { Target } from './target.js'

/** A command that can be pasted into a shell and works on the same data directory. */
export function nextCommand(target: Pick<Target, 'flags'>, ...words: readonly string[]): string {
  return ['holdfast', ...words, ...target.flags].map(shellWord).join(' ')
}

/**
 * A text as one word of a shell.
 *
 * @remarks Keys and names are others' text: what a terminal would act on is written as an escape, so that neither
 * showing nor pasting it does anything.
 */
export function shellWord(text: string): string {
  if (/^[\w./:@%+=,-]+$/.test(text)) return text
  if (!/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u.test(text)) return `'${text.replaceAll("'", `'\\''`)}'`
  const escaped = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}'\\]/gu, escapeOf)
  return `$'${escaped}'`
}

function escapeOf(character: string): string {
  if (character === "'" || character === '\\') return `\\${character}`
  const point = character.codePointAt(0) ?? 0
  return `\\U${point.toString(16).padStart(8, '0')}`
}

import { untilAborted } from '../base/abort.js'

/**
 * What a scripted call answers: a value, an error it rejects with, or a function of what it was asked, which leaves
 * the usual answer with undefined.
 */
export type ScriptedAnswer<Asked, Answer> =
  | Answer
  | Error
  | ((asked: Asked) => Answer | Error | undefined)

/** One call that hangs until it is released. */
export interface Hang {
  /** Resolves when the call has begun. */
  readonly begun: Promise<void>
  /** Lets the call go on to its answer; also before it has begun. */
  release(): void
}

/** One method of a double: answers from a queue, then as always. */
export interface ScriptedStep<Asked, Answer> {
  /** How often it was called. */
  readonly calls: number
  /** What it was asked, in order. */
  readonly asked: readonly Asked[]
  /** Answers the next calls in this order. */
  next(...answers: readonly ScriptedAnswer<Asked, Answer>[]): void
  /** Answers every call that finds the queue empty; undefined goes back to the usual answer. */
  always(answer: ScriptedAnswer<Asked, Answer> | undefined): void
  /** The next call hangs before it answers. @param options.deaf it does not hear its signal either */
  hangNext(options?: { readonly deaf?: boolean }): Hang
}

/** A step together with the method that plays it. */
export type PlayedStep<Asked, Answer> = ScriptedStep<Asked, Answer> & {
  readonly play: (asked: Asked, signal: AbortSignal) => Promise<Answer>
}

type Gate = { readonly opened: Promise<void>; readonly open: () => void }
type PlannedHang = { readonly begun: Gate; readonly released: Gate; readonly deaf: boolean }

/** A step that answers `usual` unless it is told otherwise. */
export function scriptedStep<Asked, Answer>(
  usual: (asked: Asked) => Answer | Error,
): PlayedStep<Asked, Answer> {
  const queue: ScriptedAnswer<Asked, Answer>[] = []
  const hangs: PlannedHang[] = []
  const asked: Asked[] = []
  let standing: ScriptedAnswer<Asked, Answer> | undefined

  return {
    get calls() {
      return asked.length
    },
    asked,
    next: (...answers) => void queue.push(...answers),
    always: (answer) => {
      standing = answer
    },
    hangNext({ deaf = false } = {}) {
      const hang = { begun: gate(), released: gate(), deaf }
      hangs.push(hang)
      return { begun: hang.begun.opened, release: hang.released.open }
    },
    async play(question, signal) {
      asked.push(question)
      const answer = queue.length > 0 ? queue.shift() : standing
      const hang = hangs.shift()
      if (hang !== undefined) await hold(hang, signal)
      const given = answerTo(answer, question) ?? usual(question)
      if (given instanceof Error) throw given
      return given
    },
  }
}

function answerTo<Asked, Answer>(
  answer: ScriptedAnswer<Asked, Answer> | undefined,
  question: Asked,
): Answer | Error | undefined {
  // A scripted answer is data: no step of these doubles answers with a function.
  return typeof answer === 'function'
    ? (answer as (asked: Asked) => Answer | Error | undefined)(question)
    : answer
}

function hold({ begun, released, deaf }: PlannedHang, signal: AbortSignal): Promise<void> {
  begun.open()
  return deaf ? released.opened : untilAborted(released.opened, signal, 'scripted hang')
}

function gate(): Gate {
  let open = (): void => undefined
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open: () => open() }
}

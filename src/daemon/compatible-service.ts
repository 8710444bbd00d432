import type {
  IssueInput,
  PollInput,
  Route,
  SignerApproval,
  SubmitInput,
} from '../covenant/index.js'
import type { StepResult } from '../covenant/job.js'

/** What the compatible listener asks of the covenant service. */
export interface CompatibleService {
  /** @param signal outlives the client; fires when the listener closes or the work limit is reached */
  submit(input: SubmitInput, route: Route, signal: AbortSignal): Promise<StepResult>
  /** @param signal fires when the client is gone */
  poll(input: PollInput, route: Route, signal: AbortSignal): Promise<StepResult>
  /** Absent where certificates cannot be issued. @param signal as for `submit` */
  readonly issue?: (input: IssueInput, signal: AbortSignal) => Promise<SignerApproval>
}

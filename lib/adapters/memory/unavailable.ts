import { type MakeUnavailable, unavailableOf } from '../../unavailable.ts'

export const unavailable: MakeUnavailable = unavailableOf('memory')

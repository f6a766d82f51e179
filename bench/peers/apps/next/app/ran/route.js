import { ran } from '../../../scenarios.js'

export const dynamic = 'force-dynamic'

export function GET () {
  return Response.json(ran)
}

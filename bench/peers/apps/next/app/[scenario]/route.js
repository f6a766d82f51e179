import { after } from 'next/server'
import { scenarios } from '../../../scenarios.js'

export async function POST (request, { params }) {
  const { scenario } = await params
  const { tasks, finish } = scenarios[scenario]
  await request.json()
  for (const task of tasks) after(task)
  return Response.json(await finish())
}

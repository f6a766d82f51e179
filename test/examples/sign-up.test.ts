import t, { type Test } from 'tap'
import { build } from '../helpers/build.ts'
import { Child } from '../helpers/child.ts'

build()

/** What has to be in the output, in this order. */
function inOrder (t: Test, lines: string[], expected: RegExp[]): void {
  let from = 0
  for (const pattern of expected) {
    const index = lines.findIndex((line, index) => index >= from && pattern.test(line))
    t.not(index, -1, `${pattern}`, { lines })
    from = index + 1
  }
}

await t.test('auditor.js: preHandler and handler add to one request', async t => {
  const child = new Child(t, 'examples/auditor.js')
  t.strictSame(await child.exit, { code: 0, signal: null })
  inOrder(t, child.lines, [
    /GET .report with the key "sesame": 200/,
    /req-1 key accepted/,
    /req-1 report read/,
    /GET .report with the key "barley": 401/,
    /req-2 key refused/
  ])
})

await t.test('sign-up.js --demo tells what happens in order, and ends', async t => {
  const child = new Child(t, 'examples/sign-up.js', ['--demo'])
  t.strictSame(await child.exit, { code: 0, signal: null })
  inOrder(t, child.lines, [
    /ms +response 201: \{"email":"ada@example.com"\}/,
    /ms +task audit completed/,
    /ms +mail "Welcome, ada@example.com": delivered to ada@example.com/,
    /ms +task welcome-email completed/,
    /ms +task addToNewsletter failed: the newsletter service is down/,
    /ms +task audit completed/,
    /ms +close called/,
    /ms +mail "Weekly digest": delivered/,
    /ms +closed/,
    /"action":"sign-up requested"/,
    /"action":"user created"/,
    /added: 5/,
    /completed: 4/,
    /failed: 1/
  ])
})

await t.test('sign-up.js --demo ends with 1 where something expected did not happen', async t => {
  const nowhere = `${t.testdirName}/none`
  const child = new Child(t, 'examples/sign-up.js', ['--demo'], { TMPDIR: nowhere, TEMP: nowhere })
  t.strictSame(await child.exit, { code: 1, signal: null })
  t.match(child.lines.join('\n'), /task audit failed/)
})

await t.test('sign-up.js runs until it is terminated, and answers to what it says to try', async t => {
  const child = new Child(t, 'examples/sign-up.js', [], { PORT: '0', TMPDIR: t.testdir(), TEMP: t.testdirName })
  const [, url, body] = await child.line(/curl -i (\S+) -H "content-type: application\/json" -d (".*")/)
  const response = await fetch(url!, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    // A shell reads this quoting as JSON does.
    body: JSON.parse(body!) as string
  })
  t.equal(response.status, 201)
  t.strictSame(await response.json(), { email: 'ada@example.com' })
  await child.line(/mail "Welcome, ada@example.com" delivered to ada@example.com/)
  child.terminate()
  t.strictSame(await child.exit, { code: 0, signal: null })
})

/** JSON of the kinds that get lost on the way through databases, drivers and serialisers. */
export function payloads (): Record<string, unknown> {
  return {
    'text in all scripts': [
      'Grüße, Jürgen',
      'Здравствуйте',
      '你好世界',
      'مرحبا',
      '👩‍👩‍👧‍👦🏳️‍🌈',
      'e\u0301 is not \u00e9',
      '\u2028\u2029\ufeff',
      '"\'\\/\b\f\n\r\t${}%s:{}--;'
    ],
    'control characters': ['\u0000', 'a\u0000b', '\u0001\u001f\u007f'],
    'halves of surrogate pairs': ['\ud800', 'a\udbff', '\udc00', '\udfffb', '\udc00\ud800', { '\udc00': '\ud800' }],
    numbers: [0, -1, 0.1, 1e-7, 1e21, 5e-324, Number.MAX_VALUE, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER],
    'a payload of null': null,
    'a payload of false': false,
    'an empty text': '',
    'empty things in things': [[], {}, [[]], { '': '' }, null, [null]],
    'keys that mean something elsewhere': JSON.parse(
      '{"constructor":1,"$ref":"#","__v":2,"id":3,"a.b":4,"10":5,"9":6,"toJSON":7,"then":8}'
    ) as unknown,
    'objects 100 deep': deep(100),
    'a payload of 1 MB': 'ä😀x'.repeat(150_000)
  }
}

function deep (levels: number): unknown {
  return levels === 0 ? 'bottom' : { down: [deep(levels - 1)] }
}
